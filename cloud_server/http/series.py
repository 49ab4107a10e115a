"""Values of a metric's label that devices choose: so many for good, all others together, whatever devices say."""

from __future__ import annotations

import threading
from collections.abc import Iterable


class LabelValues:
    """The values that are shown; may be used on any thread.

    A value that was shown once stays: a device that says other ones each day makes no further series, and takes none
    away.

    Args:
        most: values that are let in beside `always`.
        other: stands for those that are not.
        always: shown in any case.
    """

    def __init__(self, most: int, other: str, always: Iterable[str] = ()) -> None:
        self.most, self.other = most, other
        self._always = frozenset(always)
        self._shown: set[str] = set()
        self._guard = threading.Lock()

    def let_in(self, values: Iterable[str]) -> None:
        """Show these from now on, the first of them first, as far as there is room."""
        with self._guard:
            for value in values:
                if len(self._shown) >= self.most:
                    return
                if value not in self._always:
                    self._shown.add(value)

    def shown(self, value: str) -> str:
        """The value, or what stands for it."""
        return value if value in self._always or value in self._shown else self.other
