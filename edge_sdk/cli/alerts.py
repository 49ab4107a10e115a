"""`edge-sdk alerts`: try the channels of alerts, and make the secret that signs webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_sdk.cli.options import FILE, from_file, option
from edge_sdk.errors import ConfigError
from edge_sdk.terminal.command import NO
from edge_sdk.terminal.text import literal

if TYPE_CHECKING:
    from edge_sdk.alerts.rule import AlertRule

MQTT = "MQTT broker, host[:port] or mqtts://user@host[:port]; @FILE: the address, with a password, in its first line."
WEBHOOK = "URL that takes a POST of JSON; @FILE: in its first line."
SECRET = "File with the secret that signs webhooks.  [default: the variable EDGE_SDK_WEBHOOK_SECRET; none: not signed]"


@click.group()
def alerts() -> None:
    """Try the channels of alerts: MQTT and webhooks."""


@alerts.command()
@option("--mqtt", callback=from_file, metavar="HOST[:PORT]", help=MQTT)
@option("--webhook", callback=from_file, metavar="URL", help=WEBHOOK)
@option("--secret-file", type=FILE, help=SECRET)
@option("--ca", type=FILE, help="PEM authority of the other side's certificate.  [default: the system's]")
@option("--device", metavar="NAME", help="Name of this device in the alert.  [default: the machine's]")
@click.pass_context
def test(
    context: click.Context,
    mqtt: str | None,
    webhook: str | None,
    secret_file: Path | None,
    ca: Path | None,
    device: str | None,
) -> None:
    """Send one test alert and say what came back.

    The exit code is 1 if it was not delivered.
    """
    from edge_sdk.alerts.alert import Alert, Kind
    from edge_sdk.alerts.alerts import check_device
    from edge_sdk.alerts.channel import Fate
    from edge_sdk.alerts.opening import open_channels
    from edge_sdk.alerts.toll import Toll

    name = check_device(device)
    sent = Alert(Kind.TEST, name, f"a test of the alerts of {name}", datetime.now(UTC), rule="test")
    channels = list(open_channels(mqtt, webhook, secret_file, ca))
    if not channels:
        raise ConfigError("expected --mqtt HOST[:PORT] or --webhook URL; got neither")
    delivered = True
    for channel in channels:
        with ExitStack() as opened:
            opened.callback(channel.close)
            channel.open(name, Toll())
            outcome = channel.deliver(sent)
        click.echo(
            literal(f"{channel.name}: {'' if outcome.fate is Fate.DELIVERED else 'not '}delivered: {outcome.said}")
        )
        delivered = delivered and outcome.fate is Fate.DELIVERED
    if not delivered:
        context.exit(NO)


@alerts.command()
def secret() -> None:
    """Print a fresh secret for signing webhooks, for the device and the receiver."""
    from edge_sdk.alerts.signature import new_secret

    click.echo(new_secret())


def rules_for(classes: str | None, labels: Sequence[str], *, provisional: bool = False) -> list[AlertRule]:
    """The rules of a loop: one for faults, budgets, drift and audits, and one for classes that an option names.

    Args:
        classes: with commas between; None: none. Kinds, such as audit, may stand among them: they are told in any case.
        labels: the bundle's.
        provisional: tell unsure answers of the device too.

    Raises:
        click.UsageError: a class is none of the bundle's.
    """
    from edge_sdk.alerts.opening import DEVICE_RULE
    from edge_sdk.alerts.rule import AlertRule

    rules = [DEVICE_RULE]
    if classes is not None:
        named = tuple(filter(None, (one.strip() for one in classes.split(","))))
        chosen = tuple(one for one in named if one in labels or one not in rules[0].kinds)
        if not named or set(chosen) - set(labels):
            raise click.UsageError(f"--alert-on: expected classes among {', '.join(labels)}; got {classes!r}")
        if not chosen:
            return rules
        rules.append(AlertRule(chosen, at_most="20/h", provisional=provisional, name="classes"))
    return rules
