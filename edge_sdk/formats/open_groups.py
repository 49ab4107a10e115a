"""Groups of frames that may still grow, while frames pass by in the order of time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Generic, TypeVar

Value = TypeVar("Value")

LONGEST_PAUSE = timedelta(hours=1)
"""A group that has not grown for so long is closed."""


class OpenGroups(Generic[Value]):
    """Values by group, each given out once no more frames of it come."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[datetime, Value]] = {}

    def get(self, group: str, moment: datetime) -> Value | None:
        """The value of a group that grows at this time; None: it is new, or was closed."""
        found = self._open.get(group)
        if found is None:
            return None
        self._open[group] = moment, found[1]
        return found[1]

    def put(self, group: str, moment: datetime, value: Value) -> None:
        """A new group."""
        self._open[group] = moment, value

    def closed(self, moment: datetime) -> Iterator[Value]:
        """The values of those that do not grow any more at this time."""
        done = [group for group, (latest, _) in self._open.items() if moment - latest > LONGEST_PAUSE]
        for group in done:
            yield self._open.pop(group)[1]

    def rest(self) -> Iterator[Value]:
        """The values of all others, at the end."""
        for _, value in self._open.values():
            yield value
        self._open.clear()
