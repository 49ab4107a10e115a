"""`cloud-server install-service`: the unit by which systemd runs the server."""

from __future__ import annotations

import sys

import click

from edge_sdk.systemd.unit import server_unit

HELP = "Options of cloud-server, after --."


@click.command("install-service", context_settings={"ignore_unknown_options": False})
@click.option("--user", default="cloud-server", metavar="NAME", help="User that the service runs as; systemd makes it.")
@click.option("--print", "only_print", is_flag=True, help="Print the files, and change nothing.")
@click.argument("options", nargs=-1)
def install_service(user: str, only_print: bool, options: tuple[str, ...]) -> None:
    """Write a systemd service that runs this server from boot on. OPTIONS are those of cloud-server, after `--`.

    Run it as root with the Python that shall run the server.
    """
    from edge_sdk.systemd.install import put

    put(server_unit(sys.executable, options, user=user), "cloud-server", only_print=only_print)
    if not only_print:
        click.echo("next: systemctl enable --now cloud-server; the log: journalctl -u cloud-server")
