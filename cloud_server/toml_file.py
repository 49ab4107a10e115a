"""A TOML file that an operator writes: read in bounds, with the line of each key, and all its faults told at once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from edge_sdk.errors import ConfigError
from edge_sdk.security.files import read_given_text
from edge_sdk.terminal.toml_lines import key_lines

MAX_BYTES = 1 << 20
_AT_LINE = re.compile(r" \(at line (\d+), column \d+\)")
_TOLD = 5


@dataclass(slots=True)
class TomlFile:
    """A file that was read.

    Attributes:
        path: where it is.
        data: what it says.
        lines: of its tables, keys and items, from 1.
        faults: what of it cannot be used: the line, and what was expected and came.
    """

    path: Path
    data: dict[str, Any]
    lines: Mapping[tuple[str | int, ...], int]
    faults: list[tuple[int, str]] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """Where the paths in it begin, absolute."""
        return self.path.absolute().parent

    def line(self, *place: str | int) -> int:
        """On which a key stands, or the nearest that holds it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def blame(self, words: str, *place: str | int) -> None:
        """Write down a fault of a key."""
        self.faults.append((self.line(*place), words))

    def told(self) -> list[str]:
        """The faults in the order of the file, each as FILE:LINE: WORDS."""
        return [f"{self.path}:{line}: {words}" for line, words in sorted(self.faults)]

    def refuse(self) -> None:
        """Raise the faults, if there are any.

        Raises:
            ConfigError: there are; the first five are told.
        """
        if lines := self.told():
            more = f" (and {len(lines) - _TOLD} more)" if lines[_TOLD:] else ""
            raise ConfigError("; ".join(lines[:_TOLD]) + more)


def read_toml(path: Path, what: str) -> TomlFile:
    """Read a file.

    Args:
        path: the file.
        what: its name in messages, such as "models file".

    Raises:
        ConfigError: it cannot be read, or is no TOML; told with the line.
    """
    text = read_given_text(path, what, max_bytes=MAX_BYTES)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = _AT_LINE.search(str(error))
        line = at[1] if at else str(text.count("\n") + 1)
        raise ConfigError(f"{path}:{line}: expected TOML: {_AT_LINE.sub('', str(error))}") from None
    except RecursionError:
        raise ConfigError(f"{path}:1: expected TOML; got tables within tables without end") from None
    return TomlFile(path, data, key_lines(text))


def meant(given: object, known: Iterable[str]) -> str:
    """A question for what was probably meant, to stand at a message's end; "" where nothing is near."""
    near = get_close_matches(given, list(known), 1, 0.6) if isinstance(given, str) else []
    return f"; did you mean {near[0]}?" if near else ""
