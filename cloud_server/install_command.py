"""`cloud-server install-service`: the unit by which systemd runs the server."""

from __future__ import annotations

import sys

import click

from edge_sdk.systemd.unit import server_unit


@click.command("install-service")
@click.option("--user", default="cloud-server", metavar="NAME", help="User that the service runs as; systemd makes it.")
@click.option("--print", "only_print", is_flag=True, help="Print the files, and change nothing.")
@click.argument("options", nargs=-1, metavar="[-- OPTION...]")
@click.pass_context
def install_service(context: click.Context, user: str, only_print: bool, options: tuple[str, ...]) -> None:
    """Write a systemd service that runs this server from boot on; after `--` stand its options, as of cloud-server.

    Run it as root with the Python that shall run the server.
    """
    from edge_sdk.systemd.install import put

    server = context.find_root().command
    server.make_context("cloud-server", list(options))  # refuses what the server would refuse at each of its starts
    put(server_unit(sys.executable, options, user=user), "cloud-server", only_print=only_print)
    if not only_print:
        click.echo("next: systemctl enable --now cloud-server; the log: journalctl -u cloud-server")
