"""Reading the config file: TOML text and environment into values, each with where it came from, and all faults at once.

    edge-sdk.toml:12: budgets.upload: expected a budget such as "5MB/day" ...; got '5MB'

The environment goes over the file: EDGE_SDK_BUDGETS__UPLOAD=2MB/day is budgets.upload. A text is taken as it is; any
other value is written as TOML has it: EDGE_SDK_PREFERENCES__NEVER_UPLOAD='["person"]'.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin

from edge_sdk.alerts.rule import AlertRule
from edge_sdk.camera.address import parse_address
from edge_sdk.device_config.keys import REQUIRED, Key, all_keys, keys_of, nearest
from edge_sdk.device_config.secrets import secret_fault, shown
from edge_sdk.device_config.sections import SECTIONS, Section
from edge_sdk.errors import ConfigError
from edge_sdk.security.files import read_given_text
from edge_sdk.terminal.toml_lines import key_lines

MAX_BYTES = 1 << 20
_VARIABLE = re.compile(r"EDGE_SDK_([A-Z]+)__([A-Z0-9_]+)", re.ASCII)
_AT_LINE = re.compile(r" \(at line (\d+), column (\d+)\)$")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that cannot be used.

    Attributes:
        where: "FILE:LINE", or the environment's variable.
        key: "section.name"; "" where the file is no TOML.
        text: what was expected, what came, and what to do.
    """

    where: str
    key: str
    text: str

    def __str__(self) -> str:
        return f"{self.where}: {self.key}: {self.text}" if self.key else f"{self.where}: {self.text}"

    def order(self) -> tuple[str, int]:
        """Sorts faults as the file has them; those of the environment come after."""
        place, _, line = self.where.rpartition(":")
        return (place, int(line)) if line.isdigit() else (f"\uffff{self.where}", 0)


@dataclass(frozen=True, slots=True)
class Given:
    """A value that was given.

    Attributes:
        value: as the settings take it; a path is absolute.
        where: "FILE:LINE", or the environment's variable.
    """

    value: Any
    where: str


@dataclass(slots=True)
class Reading:
    """What a file and the environment say.

    Attributes:
        path: the file; None: there is none.
        given: the values that can be used, by section and name.
        present: sections that the file or the environment names.
        parts: the settings, by their dataclass; of an optional section that is not there, none.
        faults: all that cannot be used, in the order of the file.
    """

    path: Path | None
    given: dict[tuple[str, str], Given] = field(default_factory=dict)
    present: set[str] = field(default_factory=set)
    parts: dict[type, Any] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    lines: Mapping[tuple[str | int, ...], int] = field(default_factory=dict)

    def where(self, *path: str | int) -> str:
        """Where a key stands, or the nearest that holds it."""
        if len(path) == 2 and (found := self.given.get((str(path[0]), str(path[1])))):
            return found.where
        while path and path not in self.lines:
            path = path[:-1]
        return f"{self.path}:{self.lines.get(path, 1)}"

    def blame(self, key: str, text: str, *path: str | int) -> None:
        """Write down a fault of a key."""
        self.faults.append(Fault(self.where(*(path or key.split("."))), key, text))


def read(path: Path | None, environment: Mapping[str, str] = os.environ) -> Reading:
    """Read a file and the environment.

    Args:
        path: the file; None: the environment alone.
        environment: of the process.

    Raises:
        ConfigError: the file cannot be read.
    """
    reading = Reading(path)
    if path is not None:
        text = read_given_text(path, "config file", max_bytes=MAX_BYTES)
        try:
            data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            at = _AT_LINE.search(str(error))
            line = int(at[1]) if at else text.count("\n") + 1
            said = _AT_LINE.sub(f" (column {at[2]})" if at else "", str(error))
            reading.faults.append(Fault(f"{path}:{line}", "", f"expected TOML: {said}"))
            return reading
        except RecursionError:
            reading.faults.append(Fault(f"{path}:1", "", "expected TOML; got tables within tables without end"))
            return reading
        reading.lines = key_lines(text)
        for name, table in data.items():
            _read_section(reading, name, table, path.absolute().parent)
    _read_environment(reading, environment)
    for section in SECTIONS:
        if not section.optional or section.name in reading.present:
            for part in section.parts:
                reading.parts[part] = _build(reading, section, part)
    reading.faults.sort(key=Fault.order)
    return reading


def _read_section(reading: Reading, name: str, table: object, folder: Path) -> None:
    names = [section.name for section in SECTIONS]
    if name not in names:
        there = [f"{section}.{key}" for section, key in all_keys() if key == name]
        near = nearest(name, names) or next(iter(there), "")
        reading.blame(name, f"expected a section of {', '.join(names)}; got {name!r}{_meant(near)}", name)
        return
    if not isinstance(table, dict):
        reading.blame(name, f"expected a table [{name}]; got {shown('', '', table)}", name)
        return
    reading.present.add(name)
    for key_name, value in table.items():
        key = all_keys().get((name, key_name))
        if fault := secret_fault(name, key_name, value, known=key is not None, is_path=bool(key and key.is_path)):
            reading.blame(f"{name}.{key_name}", fault, name, key_name)
        elif key is None:
            reading.blame(
                f"{name}.{key_name}", f"there is no such key{_meant(_near_key(name, key_name))}", name, key_name
            )
        else:
            where = f"{reading.path}:{reading.lines.get((name, key_name), 1)}"
            _take(reading, key, value, where, folder)


def _read_environment(reading: Reading, environment: Mapping[str, str]) -> None:
    for variable in sorted(environment):
        match = _VARIABLE.fullmatch(variable)
        if match is None:
            continue
        name, key_name = match[1].lower(), match[2].lower()
        key = all_keys().get((name, key_name))
        text = environment[variable]
        value: object = text
        if fault := secret_fault(name, key_name, text, known=key is not None, is_path=bool(key and key.is_path)):
            reading.faults.append(Fault(variable, f"{name}.{key_name}", fault.replace("in this file", "here")))
            continue
        if key is None:
            near = _near_key(name, key_name)
            variable_of = f"EDGE_SDK_{near.upper().replace('.', '__')}" if near else ""
            reading.faults.append(Fault(variable, f"{name}.{key_name}", f"there is no such key{_meant(variable_of)}"))
            continue
        if not _takes_text(key.kind) or (text.startswith(("[", "{")) and str not in (key.kind,)):
            try:
                value = tomllib.loads(f"value = {text}")["value"]
            except tomllib.TOMLDecodeError:
                value = text  # "none", or what is not of the type
        reading.present.add(name)
        _take(reading, key, value, variable, Path.cwd())


def _take(reading: Reading, key: Key, value: object, where: str, folder: Path) -> None:
    """Write a value down, or why it cannot be used."""
    if key.kind is AlertRule:
        _take_rules(reading, key, value, where)
        return
    try:
        read_value = key.read(value)
    except ConfigError as error:
        text = f"{error}; got {shown(key.section, key.name, value)}{_meant(_near_value(key, value))}"
        reading.faults.append(Fault(where, key.full, text))
        return
    if key.is_path and read_value is not None:
        read_value = str(_absolute(read_value, folder))
    if key.full == "bundle.path" and ("/" in read_value or (folder / read_value).is_dir()):
        read_value = str(_absolute(read_value, folder))
    if key.full == "camera.address":
        read_value = _camera(read_value, folder)
    reading.given[key.section, key.name] = Given(read_value, where)


def _camera(address: str | None, folder: Path) -> str | None:
    """A camera's address; of a file or folder, with an absolute path."""
    if address is None or address.startswith(("/", "~")):
        return address
    try:
        is_path = parse_address(address).scheme == "path"
    except ConfigError:  # which the section refuses
        return address
    return f"{folder}/{address}" if is_path else address


def _take_rules(reading: Reading, key: Key, value: object, where: str) -> None:
    """The tables [[alerts.rules]]."""
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        reading.faults.append(Fault(where, key.full, f"expected tables [[alerts.rules]]; got {shown('', '', value)}"))
        return
    known = {one.name: one for one in keys_of(AlertRule, key.full, paths=frozenset())}
    rules = []
    for number, table in enumerate(value):
        values: dict[str, Any] = {}
        faults = len(reading.faults)
        for name, one in table.items():
            at = reading.lines.get((*key.full.split("."), number, name))
            here = where if at is None else f"{reading.path}:{at}"
            full = f"{key.full}.{name}"
            if name not in known:
                reading.faults.append(Fault(here, full, f"there is no such key{_meant(nearest(name, list(known)))}"))
                continue
            try:
                values[name] = known[name].read(one)
            except ConfigError as error:
                reading.faults.append(Fault(here, full, f"{error}; got {shown('', '', one)}"))
        try:
            rule = AlertRule(**values)
        except ConfigError as error:
            named = _blamed(AlertRule, values, set(), error)
            path: tuple[str | int, ...] = (*key.full.split("."), number, *([named] if named else []))
            here = where if path not in reading.lines else f"{reading.path}:{reading.lines[path]}"
            full = f"{key.full}.{named}" if named else key.full
            reading.faults.append(Fault(here, full, _plain(error, AlertRule, named)))
        else:
            if len(reading.faults) == faults:
                rules.append(rule)
    reading.given[key.section, key.name] = Given(tuple(rules), where)


def _build(reading: Reading, section: Section, part: type) -> Any:
    """The dataclass with what is given; a value that it refuses becomes a fault, and its default holds."""
    keys = {key.name: key for key in all_keys().values() if key.home is part and key.section == section.name}
    values = {name: reading.given[section.name, name].value for name in keys if (section.name, name) in reading.given}
    while True:
        missing = [name for name, key in keys.items() if name not in values and key.default is REQUIRED]
        if missing:
            told = f"{section.name}.{missing[0]}"
            if not any(fault.key == told for fault in reading.faults):
                reading.blame(told, f"expected this key in [{section.name}]: {keys[missing[0]].meaning}", section.name)
            return None
        try:
            return part(**values)
        except ConfigError as error:
            required = {name for name, key in keys.items() if key.default is REQUIRED}
            named = _blamed(part, values, required, error)
            full = section.name if named is None else f"{section.name}.{named}"
            reading.blame(full, _plain(error, part, named))
            if named is None:
                return None
            del values[named]
            reading.given.pop((section.name, named), None)


def _blamed(part: type, values: Mapping[str, Any], required: set[str], error: ConfigError) -> str | None:
    """Which value is refused: the first that is refused alone, else the first that the message names."""
    for name in values:
        try:
            part(**{one: values[one] for one in (*required, name)})
        except ConfigError:
            return name
    return next((name for name in re.findall(r"\w+", str(error)) if name in values), None)


def _plain(error: ConfigError, part: type, named: str | None = None) -> str:
    """The message without the dataclass's name, and without the key's, which stands before it."""
    text = str(error).replace(f"{part.__name__}.", "")
    return text.removeprefix(f"{named}: ") if named else text


def _absolute(value: str, folder: Path) -> Path:
    path = Path(os.path.expanduser(value))
    return path if path.is_absolute() else folder / path


def _takes_text(kind: Any) -> bool:
    """Whether a text is a value of this type, "none" apart."""
    args = [one for one in get_args(kind) if one is not NoneType]
    return kind is str or str in args or any(isinstance(one, str) for one in args)


def _near_key(section: str, name: str) -> str:
    """The key that was probably meant, of this section or of another; "" for none."""
    own = [key.name for key in all_keys().values() if key.section == section]
    if near := nearest(name, own):
        return f"{section}.{near}"
    elsewhere = [key.full for key in all_keys().values() if key.name == name]
    return elsewhere[0] if elsewhere else ""


def _near_value(key: Key, value: object) -> str:
    """The value that was probably meant; "" for none."""
    if isinstance(value, int) and not isinstance(value, bool) and str in (key.kind, *get_args(key.kind)):
        return f'"{value}"'  # a camera by its number
    if not isinstance(value, str):
        return ""
    if get_origin(key.kind) is tuple:
        return json.dumps([value], ensure_ascii=False)
    near = nearest(value, list(_choices(key.kind)))
    return f'"{near}"' if near else ""


def _choices(kind: Any) -> Iterator[str]:
    for one in get_args(kind):
        yield from ([one] if isinstance(one, str) else _choices(one))


def _meant(near: str) -> str:
    return f"; did you mean {near}?" if near else ""
