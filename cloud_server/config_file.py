"""The file of `cloud-server --config`: a key for each option of the command, and `[[models]]`.

    cloud-server.toml:7: expected max_batch as a whole number of at least 1; got "many"
    cloud-server.toml:9: expected a key of `cloud-server --help`; got 'max_ques'; did you mean max_queue_s?

Keys are the options' long names with underscores. The command line goes over the file, and so do variables of the
environment that an option reads.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from cloud_server.models_file import TABLE, beside, entries_of
from cloud_server.toml_file import TomlFile, meant, read_toml

NOT_IN_FILE = frozenset({"config", "help"})


def options_of(command: click.Command) -> dict[str, click.Option]:
    """The options that a file may set, by its keys."""
    options = [one for one in command.params if isinstance(one, click.Option)]
    return {one.name: one for one in options if one.name and one.name not in NOT_IN_FILE}


def read_config(path: Path, command: click.Command) -> tuple[TomlFile, dict[str, Any]]:
    """Read a file.

    Args:
        path: the file.
        command: `cloud-server`.

    Returns:
        the file with its faults, and the values that can be used as click's `default_map` takes them: paths are
        absolute, and of `[[models]]` there is the path of the file itself.

    Raises:
        ConfigError: it cannot be read, or is no TOML.
    """
    file = read_toml(path, "config file")
    options, values = options_of(command), dict[str, Any]()
    for key, value in file.data.items():
        option = options.get(key)
        if option is None:
            near = meant(key.replace("-", "_"), options)
            file.blame(f"expected a key of `cloud-server --help`; got {key!r}{near}", key)
        elif key == TABLE and not isinstance(value, str):
            if entries_of(file, _archive_of(file)):
                values[key] = str(path.absolute())
        elif fault := _fault(option, value):
            file.blame(fault, key)
        else:
            values[key] = _placed(option, value, file.folder)
    return file, values


def _archive_of(file: TomlFile) -> Path | None:
    """The server's frame archive, as far as the file names one."""
    named = file.data.get("archive")
    return file.folder / os.path.expanduser(named) if isinstance(named, str) and named and "\0" not in named else None


def _fault(option: click.Option, value: object) -> str:
    """What a value lacks; "": nothing."""
    name = str(option.name)
    expected, kinds = _expected(option)
    got = f"got {_shown(value)}{meant(value, _choices(option))}"
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        return f"expected {name} as {expected}; {got}"
    if (isinstance(value, str) and (not value or "\0" in value)) or value != value:  # NaN
        return f"expected {name} as {expected}; {got}"
    try:
        context = click.Context(click.Command("cloud-server"))
        converted = option.type.convert(value, option, context)
    except click.BadParameter:
        return f"expected {name} as {expected}; {got}"
    try:
        if option.callback is not None:
            option.callback(context, option, converted)
    except click.BadParameter as error:
        return f"{name}: {error.message}"
    return ""


def _expected(option: click.Option) -> tuple[str, tuple[type, ...]]:
    """What an option wants, in words, and as types of TOML's values."""
    kind = option.type
    if option.is_flag:
        return "true or false", (bool,)
    if isinstance(kind, click.Choice):
        return f"one of {', '.join(_choices(option))}", (str,)
    if isinstance(kind, click.IntRange):
        return f"a whole number{_range(kind)}", (int,)
    if isinstance(kind, click.FloatRange):
        return f"a number{_range(kind)}", (int, float)
    if isinstance(kind, click.Path):
        return "a file's path" if kind.file_okay else "a folder's path", (str,)
    return "a text", (str,)


def _range(kind: click.IntRange | click.FloatRange) -> str:
    if kind.min is not None and kind.max is not None:
        return f" above {kind.min}, up to {kind.max}" if kind.min_open else f" from {kind.min} to {kind.max}"
    return "" if kind.min is None else f" {'above' if kind.min_open else 'of at least'} {kind.min}"


def _choices(option: click.Option) -> Sequence[str]:
    return [str(one) for one in option.type.choices] if isinstance(option.type, click.Choice) else ()


def _placed(option: click.Option, value: Any, folder: Path) -> Any:
    """A value whose path, if it is one, begins at the file's folder."""
    if not isinstance(value, str):
        return value
    if option.name == "model":
        return beside(folder, value)
    is_path = isinstance(option.type, click.Path) and not (option.name == "state" and value == "none")
    is_database = option.name == "database" and "://" not in value
    return str(folder / os.path.expanduser(value)) if is_path or is_database else value


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else f"{text[:80]}..."
