"""`edge-sdk install-service`: the units by which systemd runs a device."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from edge_sdk.cli.config import STARTING
from edge_sdk.cli.options import FILE, option
from edge_sdk.systemd.install import Named, put
from edge_sdk.systemd.places import searched
from edge_sdk.systemd.unit import device_unit
from edge_sdk.terminal.text import literal

CONFIG = Path("/etc/edge-sdk/edge-sdk.toml")
PRINT = "Print the files, and change nothing."
MEMORY = "Keep the system's log in memory (journald, 16 MB): nothing of it wears the disk, a power cut ends it."
USER = "User that the service runs as; systemd makes it."


@click.command("install-service")
@option("--config", "path", type=FILE, default=CONFIG, show_default=True, help="Config file of the device.")
@click.option("--user", default="edge-sdk", show_default=True, metavar="NAME", help=USER)
@click.option("--journal-in-memory", is_flag=True, help=MEMORY)
@click.option("--print", "only_print", is_flag=True, help=PRINT)
def install_service(path: Path, user: str, journal_in_memory: bool, only_print: bool) -> None:
    """Write a systemd service that runs this device from boot on, with a user of its own that reaches what it needs.

    Run it as root with the Python that shall run the device. A config file that is not there yet is begun.
    """
    packages = searched(sys.executable, "edge_sdk")
    config = Path(os.path.abspath(path))
    unit = device_unit(sys.executable, str(config), user=user, reads=packages)
    named = [Named("--config", config)]
    put(unit, "edge-sdk", journal_in_memory=journal_in_memory, only_print=only_print, packages=packages, named=named)
    if only_print:
        return
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(STARTING.read_bytes())
        click.echo(literal(f"wrote {path}: edit it"))
    click.echo(f"next: edge-sdk config check --config {path} && systemctl enable --now edge-sdk")
    click.echo(f"files of secrets: chown {user} FILE && chmod 600 FILE; the log: journalctl -u edge-sdk")
