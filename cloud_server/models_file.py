"""The file of `cloud-server --models`: several models, with what each answers by. Faults are told with their lines."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloud_server.model.looks import Look
from edge_sdk.errors import ConfigError
from edge_sdk.security.files import read_given
from edge_sdk.terminal.toml_lines import key_lines

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_AT_LINE = re.compile(r" \(at line (\d+), column (\d+)\)")
_TABLE = "models"
_KINDS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "name": (str, "a name of letters, digits, dots and dashes, as the devices' bundle has it"),
    "weights": (str, "a shipped model, a file of weights, a bundle, or a timm name, as --model"),
    "label_map": (str, "a JSON file"),
    "label_group": (str, "animals or coarse"),
    "look": (str, f"one of {', '.join(Look)}"),
    "max_batch": (int, "a number of at least 1"),
    "archive": (str, "a folder"),
    "share": ((int, float), "a share of devices above 0 and below 1"),
}
_GROUPS = ("animals", "coarse")


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One model of the file.

    Attributes:
        name: that devices ask for.
        weights: as `ServerConfig.model`.
        label_map: as there.
        label_group: as there.
        look: as there; "": the server's.
        max_batch: as there; 0: the server's.
        archive: folder of its frame archive; None: it has none.
        share: of the devices that ask for this name; None: all that no share takes.
    """

    name: str
    weights: str
    label_map: Path | None = None
    label_group: str = ""
    look: str = ""
    max_batch: int = 0
    archive: Path | None = None
    share: float | None = None


def read_models(path: Path) -> list[ModelEntry]:
    """Read the file.

    Raises:
        ConfigError: it cannot be read, or something in it cannot be used: each with its line.
    """
    content = read_given(path, "models file")
    try:
        text = content.decode()
        data = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: expected TOML in UTF-8; {error.reason}") from None
    except tomllib.TOMLDecodeError as error:
        at = _AT_LINE.search(str(error))
        line = at[1] if at else str(text.count("\n") + 1)
        raise ConfigError(f"{path}:{line}: expected TOML: {_AT_LINE.sub('', str(error))}") from None
    return _Check(path, key_lines(text)).entries(data)


class _Check:
    def __init__(self, path: Path, lines: dict[tuple[str | int, ...], int]) -> None:
        self._path, self._lines, self._faults = path, lines, list[tuple[int, str]]()

    def entries(self, data: dict[str, Any]) -> list[ModelEntry]:
        for name in data:
            if name != _TABLE:
                self._blame(f"expected [[{_TABLE}]] tables alone; got {name!r}", name)
        tables = data.get(_TABLE, [])
        if not isinstance(tables, list) or not tables or not all(isinstance(one, dict) for one in tables):
            self._blame(f"expected at least one [[{_TABLE}]] table", _TABLE)
            tables = []
        found = [self._entry(number, table) for number, table in enumerate(tables)]
        if not self._faults:
            self._check_shares(found)
        if self._faults:
            lines = [f"{self._path}:{line}: {words}" for line, words in sorted(self._faults)]
            raise ConfigError("; ".join(lines[:5]) + (f" (and {len(lines) - 5} more)" if lines[5:] else ""))
        return found

    def _entry(self, number: int, table: dict[str, Any]) -> ModelEntry:
        where = _TABLE, number
        for key in ("name", "weights"):
            if key not in table:
                self._blame(f"expected {key} in each [[{_TABLE}]]: {_KINDS[key][1]}", *where)
        for key, value in table.items():
            if key not in _KINDS:
                self._blame(f"expected one of {', '.join(_KINDS)}; got {key!r}", *where, key)
            elif not self._fits(key, value):
                self._blame(f"expected {key} as {_KINDS[key][1]}; got {value!r:.80}", *where, key)
        if "label_map" in table and "label_group" in table:
            self._blame("expected label_map or label_group, not both", *where, "label_group")
        values = dict(table)
        for key in ("label_map", "archive"):
            if isinstance(values.get(key), str):
                values[key] = self._path.absolute().parent / values[key]
        return ModelEntry(**values) if not self._faults else ModelEntry("", "")

    def _fits(self, key: str, value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, _KINDS[key][0]):
            return False
        given: Any = value
        if key == "name":
            return bool(_NAME.fullmatch(given))
        if key == "look":
            return given in tuple(Look)
        if key == "label_group":
            return given in _GROUPS
        if key == "max_batch":
            return bool(given >= 1)
        return bool(0 < given < 1) if key == "share" else bool(given)

    def _check_shares(self, found: list[ModelEntry]) -> None:
        for name in dict.fromkeys(one.name for one in found):
            places = [number for number, one in enumerate(found) if one.name == name]
            whole = [number for number in places if found[number].share is None]
            shares = sum(found[number].share or 0 for number in places)
            if len(whole) != 1:
                self._blame(
                    f"expected exactly one {name!r} without a share, for the devices that no share takes; got "
                    f"{len(whole)}",
                    *(_TABLE, (whole or places)[-1]),
                )
            elif shares >= 1:
                self._blame(f"expected shares of {name!r} below 1 in all; got {shares:g}", *(_TABLE, places[-1]))

    def _blame(self, words: str, *path: str | int) -> None:
        place: tuple[str | int, ...] = path
        while place and place not in self._lines:
            place = place[:-1]
        self._faults.append((self._lines.get(place, 1), words))
