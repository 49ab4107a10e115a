"""`edge-sdk drift`: whether a device's frames have changed since calibration."""

from __future__ import annotations

from pathlib import Path

import click

from edge_sdk.cli.device import bundle_of, device_options, open_journal
from edge_sdk.cli.options import option
from edge_sdk.errors import BundleError
from edge_sdk.terminal.command import NO


@click.command()
@device_options(bundle=True)
@option(
    "--limit",
    default=1000,
    show_default=True,
    type=click.IntRange(min=1),
    metavar="N",
    help="Look at the newest N frames.",
    old_names=("--frames",),
)
@click.pass_context
def drift(context: click.Context, bundle: str | None, state: Path | None, limit: int) -> None:
    """Say whether frames still look as they did at calibration.

    Compares the little model's confidences with those of calibration; needs no labels. The exit code is 1 if they have
    changed.
    """
    from edge_sdk.model.bundle import open_bundle
    from edge_sdk.model.drift import check_policy

    opened = open_bundle(bundle_of(bundle))
    with open_journal(state, bundle) as answers:
        found = check_policy(opened.policy, answers.device_confidences(limit))
    if found is None:
        raise BundleError(f"{opened.path}: policy.json holds no confidences: run `edge-sdk calibrate` on it")
    click.echo(found.sentence())
    if found.drifted:
        context.exit(NO)
