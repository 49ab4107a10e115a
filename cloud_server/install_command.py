"""`cloud-server install-service`: the unit by which systemd runs the server."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
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
    from edge_sdk.systemd.install import Named, put
    from edge_sdk.systemd.places import searched

    server = context.find_root().command
    with server.make_context("cloud-server", list(options)) as given:  # refuses what the server would at each start
        files = dict(_named(given))
        packages = searched(sys.executable, "cloud_server")
        unit = server_unit(
            sys.executable,
            options,
            user=user,
            writes=list(_written(given, files)),
            reads=[*files.values(), *packages],
        )
    named = [Named(f"--{name.replace('_', '-')}", path) for name, path in files.items()]
    put(unit, "cloud-server", only_print=only_print, packages=packages, named=named)
    if not only_print:
        click.echo("next: systemctl enable --now cloud-server; the log: journalctl -u cloud-server")


def _named(given: click.Context) -> Iterator[tuple[str, Path]]:
    """The files and folders that options and the config file name, by the options' names.

    Raises:
        ConfigError: one is relative.
    """
    for name, value in given.params.items():
        is_state = name == "state" and value not in (None, "none")
        is_file = name == "model" and os.sep in value and Path(value).exists()
        is_sqlite = name == "database" and value and "://" not in value
        if not (isinstance(value, Path) or is_state or is_file or is_sqlite):
            continue
        if not os.path.isabs(value):
            option = f"--{name.replace('_', '-')}"
            raise ConfigError(f"expected an absolute path of {option}, since a service runs in /; got {value}")
        yield name, Path(value)


def _written(given: click.Context, files: Mapping[str, Path]) -> Iterator[Path]:
    """Folders that the server writes by its options and its config file.

    Args:
        given: the options.
        files: what they name, as `_named` gives it.
    """
    yield from (files[name] for name in ("archive", "reports", "state") if name in files)
    yield from (files[name].parent for name in ("port_file", "database") if name in files)
    models = given.params["models"]
    if models is not None:
        from cloud_server.models_file import read_models

        entries = read_models(models, alone=models != given.params["config"])
        yield from (entry.archive for entry in entries if entry.archive is not None and entry.archive.is_absolute())
