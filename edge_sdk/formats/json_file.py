"""A JSON object that is written member by member, so that a long array is never in memory as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

import msgspec


@contextmanager
def json_object(file: BinaryIO) -> Iterator[JsonObject]:
    """An object in `file`, closed at the end of the `with` block."""
    file.write(b"{")
    yield JsonObject(file)
    file.write(b"\n}\n")


class JsonObject:
    """The members of an object, in the order in which they are added.

    Args:
        file: open for writing, behind the opening brace.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._between = b"\n"

    def member(self, name: str, value: object) -> None:
        """A member with its whole value."""
        self._name(name)
        self._file.write(msgspec.json.encode(value))

    @contextmanager
    def array(self, name: str) -> Iterator[Callable[[object], None]]:
        """A member that is an array; what is yielded adds one element, on a line of its own."""
        self._name(name)
        self._file.write(b"[")
        between = b"\n"

        def add(value: object) -> None:
            nonlocal between
            self._file.write(between + msgspec.json.encode(value))
            between = b",\n"

        yield add
        self._file.write(b"\n]")

    def _name(self, name: str) -> None:
        self._file.write(self._between + msgspec.json.encode(name) + b": ")
        self._between = b",\n"
