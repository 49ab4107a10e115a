"""What is wrong with a config file: its keys and values, what does not go together, and what it names.

Nothing is opened that a running server holds, no model is loaded, and nothing is served.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click

from cloud_server.config_file import options_of, read_config
from cloud_server.models_file import TABLE, beside, entries_of, read_models
from cloud_server.toml_file import TomlFile, meant
from edge_sdk.errors import ConfigError, EdgeError

_LINE = re.compile(r"; line (\d+) ")
_Look = tuple[str | tuple[str | int, ...], Callable[[], object]]


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found.

    Attributes:
        faults: each as FILE:LINE: WORDS, in the order of the file.
        settings: keys that the file sets, but models.
        models: entries of `[[models]]`.
    """

    faults: Sequence[str]
    settings: int = 0
    models: int = 0


def check(path: Path, command: click.Command) -> Checked:
    """Check a file.

    Args:
        path: the file.
        command: `cloud-server`, whose options its keys are.
    """
    try:
        file, values = read_config(path, command)
    except ConfigError as error:
        at = _LINE.search(str(error))
        is_placed = re.match(rf"{re.escape(str(path))}:\d+: ", str(error))
        return Checked([str(error) if is_placed else f"{path}:{at[1] if at else 1}: {error}"])
    if not file.faults:
        _check_together(file, command)
    models = entries_of(file) if isinstance(file.data.get(TABLE), list) and not file.faults else []
    for key, look in itertools.chain(_named(values), _named_by_models(file, values)):
        try:
            look()
        except (EdgeError, OSError) as error:
            place = key if isinstance(key, tuple) else (key,)
            file.blame(str(error), *place)
    return Checked(file.told(), len(file.data.keys() - {TABLE}), len(models))


def _check_together(file: TomlFile, command: click.Command) -> None:
    """Blame what the command would refuse of the file as a whole."""
    from cloud_server.command_settings import settings_of

    try:
        with command.make_context("cloud-server", ["--config", str(file.path)]) as context:
            settings_of(context)
    except click.ClickException as error:
        file.blame(error.format_message(), *_mentioned(error.format_message(), file, command))
    except EdgeError as error:
        file.blame(str(error), *_mentioned(str(error), file, command))


def _mentioned(message: str, file: TomlFile, command: click.Command) -> tuple[str, ...]:
    """The first key of the file that a message names, else whose value it names; () where it names none."""
    options = options_of(command)
    words = {key: {key, *options[key].opts} for key in file.data if key in options}
    values = {key: {value} for key, value in file.data.items() if isinstance(value, str) and key in options}
    for told in (words, values):
        for key, some in told.items():
            if any(re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", message) for word in some):
                return (key,)
    return ()


def _named(values: dict[str, Any]) -> Iterator[_Look]:
    """What the file names: the key, and a look that raises an error where that cannot be used."""
    from cloud_server.access.limits import AccessLimits, read_limits
    from cloud_server.fleet.database.opening import check_address
    from cloud_server.tracing import check_collector
    from edge_sdk.networks.label_map import read_mapping
    from edge_sdk.security.files import read_given
    from edge_sdk.security.pem import check_authority, check_pair

    def path_of(key: str) -> Path:
        return Path(values[key])

    looks: dict[str, Callable[[], object]] = {
        "tokens": lambda: _read_tokens(path_of("tokens")),
        "limits": lambda: read_limits(path_of("limits"), AccessLimits()),
        "label_map": lambda: read_mapping(path_of("label_map")),
        "settings_key": lambda: read_given(path_of("settings_key"), "settings key"),
        "model": lambda: _find_model(values["model"]),
        "database": lambda: check_address(values["database"]),
        "traces": lambda: check_collector(values["traces"]),
    }
    yield from ((key, look) for key, look in looks.items() if key in values)
    if {"tls_cert", "tls_key"} <= values.keys():
        yield "tls_cert", lambda: check_pair(path_of("tls_cert"), path_of("tls_key"))
    if "client_ca" in values:
        yield "client_ca", lambda: check_authority(path_of("client_ca"))


def _named_by_models(file: TomlFile, values: dict[str, Any]) -> Iterator[_Look]:
    """Likewise for what the models name, of tables that have another fault too; a models file is read as a whole."""
    from edge_sdk.networks.label_map import read_mapping

    tables = file.data.get(TABLE)
    if isinstance(tables, str):
        archive = Path(values["archive"]) if "archive" in values else None
        yield TABLE, lambda: read_models(file.folder / tables, archive=archive)
    for number, table in enumerate(tables if isinstance(tables, list) else ()):
        for key, look in (("weights", _find_model), ("label_map", lambda name: read_mapping(Path(name)))):
            value = table.get(key) if isinstance(table, dict) else None
            if isinstance(value, str) and value and "\0" not in value:
                place = beside(file.folder, value) if key == "weights" else str(file.folder / value)
                yield (TABLE, number, key), partial(look, place)


def _find_model(name: str) -> None:
    """Look for a model without loading it.

    Raises:
        ConfigError: there is none of that name.
    """
    from cloud_server.model.big import shipped_models
    from edge_sdk.networks.model_name import is_file_name, split_name

    path = Path(split_name(name)[1])
    if name in shipped_models() or path.is_file() or (path / "manifest.json").is_file():
        return
    if is_file_name(name) or path.exists():
        what = "is a folder without manifest.json" if path.is_dir() else "there is none"
        raise ConfigError(f"expected a file of weights or a bundle as {path}; {what}")
    from edge_sdk.networks.timm_library import import_timm

    timm = import_timm()
    if not timm.is_model(name.split(".", 1)[0]):
        near = meant(name, [*shipped_models(), *timm.list_models()])
        known = ", ".join(shipped_models()) or "none here"
        raise ConfigError(
            f"expected a shipped model ({known}), a file of weights, a bundle or a timm name; got {name!r}{near}"
        )


def _read_tokens(path: Path) -> None:
    from edge_sdk.security.files import read_given
    from edge_sdk.security.tokens import parse_tokens

    if faults := parse_tokens(read_given(path, "tokens file"), path).faults:
        raise ConfigError(faults[0] + (f" (and {len(faults) - 1} more lines)" if faults[1:] else ""))
