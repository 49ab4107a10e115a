"""`cloud-server check-config`: what of a config file cannot be used, all at once, without serving."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("check-config")
@click.argument("path", type=click.Path(path_type=Path), metavar="FILE")
@click.pass_context
def check_config(context: click.Context, path: Path) -> None:
    """Say what of a config file cannot be used, all at once, each with its line.

    The files and models that it names are looked up too; no model is loaded, and nothing is served. Exit codes: 0 there
    is no fault, 1 there is one.
    """
    from cloud_server.config_check import check
    from edge_sdk.terminal.text import literal

    found = check(path, context.find_root().command)
    for fault in found.faults:
        click.echo(literal(fault), err=True)
    if found.faults:
        context.exit(1)
    models = f", {found.models} models" if found.models else ""
    click.echo(literal(f"{path}: {found.settings} settings{models}, no fault"))
