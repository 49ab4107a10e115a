"""The command `edge-sdk`. Each command is a module; what it works with is imported when it runs, not for its help."""

from __future__ import annotations

import click

from edge_sdk import __version__
from edge_sdk.cli.alerts import alerts
from edge_sdk.cli.archive import archive
from edge_sdk.cli.audit import audit
from edge_sdk.cli.calibrate import calibrate
from edge_sdk.cli.cascade import cascade
from edge_sdk.cli.classify import classify
from edge_sdk.cli.companion import companion
from edge_sdk.cli.config import config
from edge_sdk.cli.contact_sheet import contact_sheet
from edge_sdk.cli.doctor import doctor
from edge_sdk.cli.drift import drift
from edge_sdk.cli.export import export
from edge_sdk.cli.export_data import export_data
from edge_sdk.cli.import_weights import import_
from edge_sdk.cli.info import info
from edge_sdk.cli.install_service import install_service
from edge_sdk.cli.journal import journal
from edge_sdk.cli.keys import keys
from edge_sdk.cli.ladder import ladder
from edge_sdk.cli.photos import photos
from edge_sdk.cli.priors import priors
from edge_sdk.cli.records import records
from edge_sdk.cli.run import run
from edge_sdk.cli.sequence import sequence
from edge_sdk.cli.settings import settings
from edge_sdk.cli.specialize import specialize
from edge_sdk.cli.train import train
from edge_sdk.terminal.command import run_and_exit

PROGRAM = "edge-sdk"


class _Commands(click.Group):
    """The commands in two lists, each with its whole first sentence."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the lists."""
        for title, commands in (("Commands", DEVICE), ("Workbench commands", WORKBENCH)):
            with formatter.section(title):
                formatter.write_dl([(one.name or "", one.get_short_help_str(200)) for one in commands])


@click.group(cls=_Commands, context_settings={"max_content_width": 100})
@click.version_option(__version__, prog_name=PROGRAM)
def cli() -> None:
    """A little model on the device, a big model in the cloud.

    Exit codes: 0 done; 1 the answer is no; 2 error; 130 stopped by Ctrl-C, 143 by SIGTERM.
    """


DEVICE = (
    run,
    config,
    install_service,
    info,
    doctor,
    classify,
    journal,
    archive,
    export_data,
    drift,
    audit,
    alerts,
    keys,
    settings,
    contact_sheet,
)
WORKBENCH = (
    photos,
    import_,
    train,
    export,
    calibrate,
    priors,
    ladder,
    records,
    cascade,
    companion,
    sequence,
    specialize,
)
for _command in (*DEVICE, *WORKBENCH):
    cli.add_command(_command)


def main() -> None:
    """The console script."""
    run_and_exit(cli, PROGRAM)
