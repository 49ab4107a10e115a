"""`cloud-server install-service`: the unit by which systemd runs the server."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from edge_sdk.errors import ConfigError
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
    with server.make_context("cloud-server", list(options)) as given:  # refuses what the server would at each start
        unit = server_unit(sys.executable, options, user=user, writes=list(_written(given)))
    put(unit, "cloud-server", only_print=only_print)
    if not only_print:
        click.echo("next: systemctl enable --now cloud-server; the log: journalctl -u cloud-server")


def _written(given: click.Context) -> Iterator[Path]:
    """Folders that the server writes by its options and its config file.

    Raises:
        ConfigError: the config file has no absolute path.
    """
    values = given.params
    config = values["config"]
    if config is not None and not config.is_absolute():
        raise ConfigError(f"expected an absolute path of --config, since a service runs in /; got {config}")
    named = [values["archive"], values["reports"]]
    if values["state"] not in (None, "none"):
        named.append(Path(values["state"]))
    if values["port_file"] is not None:
        named.append(values["port_file"].parent)
    if values["models"] is not None:
        from cloud_server.models_file import read_models

        named += [entry.archive for entry in read_models(values["models"], alone=values["models"] != config)]
    yield from (path for path in named if path is not None and path.is_absolute())
