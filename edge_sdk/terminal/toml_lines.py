"""On which line of a TOML text each key stands. The text has been read by `tomllib`, so it is known to be valid."""

from __future__ import annotations

import re
import tomllib

Path = tuple[str | int, ...]
"""Where a value stands: names of tables and keys, and numbers of an array's items, from 0."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_PART = re.compile(r"""[ \t]*("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[A-Za-z0-9_-]+)[ \t]*""")
_STRING = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*"{3,5}' r"|'''(?:[^']|'(?!''))*'{3,5}" r'|"(?:[^"\\\n]|\\.)*"' r"|'[^'\n]*'", re.DOTALL
)
_PLAIN = re.compile(r"[^,\]}\n#]*")


def key_lines(text: str) -> dict[Path, int]:
    """The line of each table, key and array item, from 1; of one that is named several times, the first.

    Args:
        text: valid TOML.
    """
    return _Scan(text).run()


class _Scan:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._lines: dict[Path, int] = {}
        self._arrays: dict[Path, int] = {}  # tables so far of each array of tables

    def run(self) -> dict[Path, int]:
        table: Path = ()
        while self._skip() < len(self._text):
            if self._text.startswith("[", self._at):
                table = self._header()
            else:
                self._pair(table)
        return self._lines

    def _header(self) -> Path:
        double = self._text.startswith("[[", self._at)
        start = self._at
        self._at += 2 if double else 1
        names = self._names()
        self._at += 2 if double else 1
        path: Path = ()
        for number, name in enumerate(names):
            path = (*path, name)
            self._mark(path, start)
            if double and number == len(names) - 1:
                self._arrays[path] = self._arrays.get(path, 0) + 1
            if path in self._arrays:
                path = (*path, self._arrays[path] - 1)
                self._mark(path, start)
        return path

    def _pair(self, table: Path) -> None:
        start = self._at
        path = table
        for name in self._names():
            path = (*path, name)
            self._mark(path, start)
        self._at += 1  # the equals sign
        self._value(path)

    def _value(self, path: Path) -> None:
        self._skip()
        opening = self._text[self._at : self._at + 1]
        if string := _STRING.match(self._text, self._at):
            self._at = string.end()
        elif opening in ("[", "{"):
            self._at += 1
            number = 0
            while self._text[self._skip()] not in "]}":
                if opening == "[":
                    self._mark((*path, number), self._at)
                    self._value((*path, number))
                    number += 1
                else:
                    self._pair(path)
                if self._text[self._skip()] == ",":
                    self._at += 1
            self._at += 1
        else:
            plain = _PLAIN.match(self._text, self._at)
            self._at = plain.end() if plain else self._at

    def _names(self) -> list[str]:
        names = []
        while part := _PART.match(self._text, self._at):
            name = part[1]
            names.append(tomllib.loads(f"name = {name}")["name"] if name[0] in "\"'" else name)
            self._at = part.end()
            if not self._text.startswith(".", self._at):
                break
            self._at += 1
        return names

    def _mark(self, path: Path, at: int) -> None:
        if path not in self._lines:
            self._lines[path] = self._text.count("\n", 0, at) + 1

    def _skip(self) -> int:
        """Go over blanks, comments and line ends; where that leads to."""
        blank = _BLANK.match(self._text, self._at)
        self._at = blank.end() if blank else self._at
        return self._at
