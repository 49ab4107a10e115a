"""`edge-sdk config`: check, show and begin the file that says what a device does."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_sdk.cli.options import FILE, Command, option
from edge_sdk.errors import ConfigError
from edge_sdk.terminal.command import NO
from edge_sdk.terminal.text import literal

if TYPE_CHECKING:
    from edge_sdk.device_config.reading import Fault

CONFIG = "Config file.  [default: edge-sdk.toml in the working folder, else in /etc/edge-sdk]"
STARTING = Path(__file__).parent.parent / "device_config" / "starting.toml"


def config_option() -> Callable[[Command], Command]:
    """`--config`: the file that says what the device does."""
    return option("--config", "path", type=FILE, envvar="EDGE_SDK_CONFIG", show_envvar=True, help=CONFIG)


@click.group()
def config() -> None:
    """Check, show and begin the config file that says what a device does."""


@config.command()
@config_option()
@click.pass_context
def check(context: click.Context, path: Path | None) -> None:
    """Say what of a config file cannot be used, all at once, each with its line.

    Names of files and classes are looked up too. The exit code is 1 if there is a fault.
    """
    from edge_sdk.device_config.check import find_faults
    from edge_sdk.device_config.device import find_config
    from edge_sdk.device_config.reading import read

    reading = read(find_config(path))
    if faults := find_faults(reading):
        say_faults(faults)
        context.exit(NO)
    click.echo(literal(f"{reading.path}: {len(reading.given)} settings, no fault"))


@config.command()
@config_option()
@click.option("--given", is_flag=True, help="Leave out the keys that have their default.")
@click.pass_context
def show(context: click.Context, path: Path | None, given: bool) -> None:
    """Print the settings that hold, and where each came from: a file's line, the environment, or the default.

    What is printed is a config file that says the same. Passwords in addresses are left out.
    """
    from edge_sdk.device_config.device import find_config
    from edge_sdk.device_config.reading import read
    from edge_sdk.device_config.show import shown_config

    reading = read(find_config(path))
    if reading.faults:
        say_faults(reading.faults)
        context.exit(NO)
    for line in list(shown_config(reading, defaults=not given))[1:]:  # the first is empty
        click.echo(literal(line))


@config.command()
@click.argument("path", type=FILE, default=Path("edge-sdk.toml"), metavar="[FILE]")
def init(path: Path) -> None:
    """Write a commented config file to begin with; a file that is there is never touched.

    The default is edge-sdk.toml in the working folder.
    """
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "wb") as file:
            file.write(STARTING.read_bytes())
    except FileExistsError:
        raise ConfigError(f"expected no file at {path}; there is one, and it stays as it is") from None
    except FileNotFoundError:
        raise ConfigError(f"expected a folder {path.parent}; there is none") from None
    click.echo(literal(f"{path}: edit it, then `edge-sdk config check`, then `edge-sdk run`"))


def say_faults(faults: list[Fault]) -> None:
    """Print faults, a line each, on standard error."""
    for fault in faults:
        click.echo(literal(fault), err=True)
