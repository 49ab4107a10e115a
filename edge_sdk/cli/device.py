"""The device that a command is about: its state folder and its bundle, by options or else by its config file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edge_sdk.cli.config import CONFIG
from edge_sdk.cli.options import FILE, FOLDER, Command, option
from edge_sdk.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from edge_sdk.device_config.reading import Reading
    from edge_sdk.store.journal import Journal

STATE = "State folder of the device.  [default: by its config file, else the SDK's folder in the user's state]"
BUNDLE = "Bundle folder, or the name of a bundle that ships with the SDK.  [default: by the config file, else trailcam]"
_KEY = "edge_sdk.config"
_SECTIONS = ("storage", "bundle")


def device_options(*, bundle: bool = False, state: bool = True) -> Callable[[Command], Command]:
    """`--state`, with `bundle` `--bundle`, and `--config` for what they leave out.

    Args:
        bundle: there is a `--bundle`.
        state: there is a `--state`; else the command takes the folder in another way.
    """
    options = [
        *([option("--state", type=FOLDER, help=STATE)] if state else []),
        option(
            "--config",
            type=FILE,
            envvar="EDGE_SDK_CONFIG",
            show_envvar=True,
            help=CONFIG,
            expose_value=False,
            callback=_keep_config,
        ),
    ]
    if bundle:
        options.insert(0, option("--bundle", help=BUNDLE))

    def decorate(command: Command) -> Command:
        for one in reversed(options):
            command = one(command)
        return command

    return decorate


def bundle_of(given: str | None) -> str:
    """The bundle of `--bundle`, else that of the config file, else the one that ships.

    Raises:
        ConfigError: the config file cannot be read, or what it says of the bundle cannot be used.
    """
    return given or _said(_reading())[1]


def state_of(given: Path | None, bundle: str | None = None) -> Path:
    """The folder of `--state`, else that of the config file, else the one of the bundle.

    Args:
        given: `--state`.
        bundle: `--bundle`; None: it is not given.

    Raises:
        ConfigError: the config file cannot be read, or what it says of the folder cannot be used.
    """
    from edge_sdk.device_config.state import state_folder

    if given is not None:
        return given
    named, of_config = _said(_reading())
    return state_folder(named, bundle or of_config)


def open_journal(state: Path | None, bundle: str | None = None) -> Journal:
    """The journal in a device's state folder, by `state_of`.

    Raises:
        StorageError: there is none.
        ConfigError: as `state_of`.
    """
    from edge_sdk.store.journal import Journal
    from edge_sdk.store.table import FILE as TABLE

    folder = state_of(state, bundle)
    if not os.path.isfile(folder / TABLE):
        raise StorageError(f"no journal at {folder / TABLE}: name the state folder with --state{_hint()}")
    return Journal(folder)


def _keep_config(context: click.Context, _: click.Parameter, path: Path | None) -> None:
    if path is not None:
        context.meta[_KEY] = path


def _reading() -> Reading:
    """What the config file and the environment say; where no file is named and there is none, the environment alone."""
    from edge_sdk.device_config.device import PLACES
    from edge_sdk.device_config.reading import read

    given: Path | None = click.get_current_context().meta.get(_KEY)
    return read(given or next((path for path in PLACES if os.path.isfile(path)), None))


def _said(reading: Reading) -> tuple[str | None, str]:
    """State folder and bundle of a config file; faults of other sections are not this command's business."""
    from edge_sdk.device_config.sections import LittleModelSection, StateFolder

    if faults := [one for one in reading.faults if one.key.partition(".")[0] in ("", *_SECTIONS)]:
        raise ConfigError("; ".join(map(str, faults)))
    state: StateFolder = reading.parts[StateFolder]
    little: LittleModelSection = reading.parts[LittleModelSection]
    return state.state_dir, little.path


def _hint() -> str:
    """What to do where the service's folder is closed to this user."""
    from edge_sdk.device_config.state import SERVICES

    folder = SERVICES / "edge-sdk"
    if os.path.isdir(folder) and not os.access(folder, os.R_OK | os.X_OK):
        return f", or read the service's in {folder} as its user: sudo -u edge-sdk ..."
    return ""
