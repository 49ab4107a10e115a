"""`edge-sdk settings`: settings for devices, signed by an operator, that a server hands out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from edge_sdk.cli.device import device_options, state_of
from edge_sdk.cli.options import FILE, OLD_FILE, OLD_FOLDER, out_option
from edge_sdk.errors import ConfigError
from edge_sdk.terminal.command import need
from edge_sdk.terminal.text import literal

_DEVICE = 'Name of the device, by its token or certificate; "*": all devices that have no settings of their own.'
_VERSION = "Devices take a version above the one they have.  [default: one above the highest in the folder]"
_PRIVATE = "Class that is not uploaded, in addition to the device's own; may be repeated."
SUFFIX = ".settings"


@click.group()
def settings() -> None:
    """Sign settings for devices; a server hands them out (cloud-server --settings)."""


@settings.command()
@out_option("Folder of both files.", folder=True, default="keys", show_default=True)
def key(out: Path) -> None:
    """Make the key that settings are signed with, settings.key, and its public part, settings.pub, for the devices."""
    need("cryptography")
    from edge_sdk.fleet.signed import new_settings_key

    private, public = out / "settings.key", out / "settings.pub"
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    key_id = new_settings_key(private, public)
    _say(f"{private}: signs settings, key {key_id}. Keep it with the operator; no server and no device needs it.")
    _say(f"{public}: for the devices: EdgeClassifier(remote=RemoteSettings(key={str(public)!r}))")


@settings.command()
@click.option("--key", "key_file", required=True, type=OLD_FILE, help="The key, settings.key.")
@click.option("--device", required=True, metavar="NAME", help=_DEVICE)
@click.option("--folder", required=True, type=click.Path(file_okay=False, path_type=Path), help="The server's folder.")
@click.option("--version", type=click.IntRange(1), help=_VERSION)
@click.option("--days", type=click.FloatRange(0, min_open=True), help="How long they hold.  [default: for good]")
@click.option("--threshold", type=click.FloatRange(0, 2), help="Confidence at or above which a frame exits.")
@click.option("--budget", metavar="BUDGET", help='Upload budget, such as "5MB/day".')
@click.option("--compute-budget", metavar="BUDGET", help='Compute budget, such as "2GMAC/s".')
@click.option("--cloud-budget", metavar="BUDGET", help='Budget of the big model, such as "10TMAC/day".')
@click.option("--never-upload", multiple=True, metavar="CLASS", help=_PRIVATE)
@click.option("--private-above", type=click.FloatRange(0, 1, min_open=True), help="Probability that makes it one.")
@click.option("--audit", type=click.FloatRange(0, 1), help="Share of confident frames that are sent all the same.")
@click.option("--archive", metavar="RULE", help='The archive\'s rule, such as "1GB, 90 days".')
def sign(
    key_file: Path,
    device: str,
    folder: Path,
    version: int | None,
    days: float | None,
    threshold: float | None,
    budget: str | None,
    compute_budget: str | None,
    cloud_budget: str | None,
    never_upload: tuple[str, ...],
    private_above: float | None,
    audit: float | None,
    archive: str | None,
) -> None:
    """Sign settings for one device or all. They replace those before: what is not named is the device's own again."""
    need("cryptography")
    from edge_sdk.durable.files import write_whole
    from edge_sdk.fleet.signed import EVERY_DEVICE, Body
    from edge_sdk.fleet.signed import sign as signed
    from edge_sdk.fleet.wanted import check_wanted
    from edge_sdk.security.tokens import check_device_name

    if device != EVERY_DEVICE:
        check_device_name(device)
    budgets = _given(upload=budget, compute=compute_budget, cloud=cloud_budget)
    private = _given(never_upload=list(never_upload) or None, above=private_above)
    wanted = check_wanted(_given(threshold=threshold, budget=budgets, private=private, audit=audit, archive=archive))
    now = datetime.now(UTC)
    number = version or 1 + max((one.body.version for _, one in _signed(folder)), default=0)
    expires = None if days is None else now + timedelta(days=days)
    body = Body(device=device, version=number, made_at=now, expires_at=expires, settings=wanted)
    path = folder / f"{'all' if device == EVERY_DEVICE else f'device-{device}'}{SUFFIX}"
    write_whole(path, signed(key_file, body))
    _say(f"{path}: version {number}, {_words(wanted)}")


@settings.command()
@click.argument("folder", type=OLD_FOLDER, required=False)
@device_options(state=False)
@click.option("--public", type=FILE, help="The public key, settings.pub: signatures are checked.")
def show(folder: Path | None, public: Path | None) -> None:
    """Show the settings in a server's FOLDER, or those that a device keeps in its state folder, and whose they are.

    Without FOLDER: those of this machine's device, by its config file.

    Which kinds of them a device follows is its own to say: edge-sdk info --state tells.
    """
    from edge_sdk.cli.held_settings import read_held
    from edge_sdk.fleet.remote import FILE as KEPT
    from edge_sdk.fleet.signed import SettingsKey, Untrusted

    checks = None if public is None else SettingsKey(public)
    folder = state_of(folder)
    found = [(path.name, one, "") for path, one in _signed(folder)]
    if (held := read_held(folder)) is not None:
        kept, its = held
        found.append((KEPT, its, f", from {kept.server} on {kept.received_at:%Y-%m-%d %H:%M} UTC"))
    if not found:
        raise ConfigError(f"no settings at {folder}: expected a server's files *{SUFFIX}, or a device's {KEPT}")
    for name, signed, came in found:
        body = signed.body
        fate = f"signed by {signed.key}" if checks is None else f"signature of {checks.key_id}: good"
        if checks is not None:
            try:
                checks.check(signed)
            except Untrusted as error:
                fate = f"NOT TRUSTED: {error}"
        until = "" if body.expires_at is None else f", until {body.expires_at:%Y-%m-%d %H:%M} UTC"
        whose = "all devices" if body.device == "*" else body.device
        _say(f"{name}: {whose}, version {body.version}{until}{came}, {fate}: {_words(body.settings)}")


def _signed(folder: Path) -> list[tuple[Path, Any]]:
    from edge_sdk.fleet.signed import MOST_BYTES, Untrusted, read_signed

    found = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            with path.open("rb") as file:
                found.append((path, read_signed(file.read(MOST_BYTES + 1))))
        except (OSError, Untrusted) as error:
            raise ConfigError(f"cannot read {path}: {error}") from error
    return found


def _given(**values: Any) -> dict[str, Any]:
    """Those that were given."""
    return {name: value for name, value in values.items() if value is not None and value != {}}


def _words(wanted: dict[str, Any]) -> str:
    return ", ".join(f"{kind} {value}" for kind, value in wanted.items()) or "nothing: all is the devices' own"


def _say(text: str) -> None:
    click.echo(literal(text))
