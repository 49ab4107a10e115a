"""A motion sensor that a test moves."""

from __future__ import annotations

from collections.abc import Callable


class FakeTrigger:
    """A `Trigger`: `fire()` is a moment of motion, `is_active` a motion that lasts."""

    def __init__(self) -> None:
        self.is_active = False
        self.is_closed = False
        self._fire: Callable[[], None] | None = None

    def start(self, fire: Callable[[], None]) -> None:
        """As `edge_sdk.duty.Trigger.start`."""
        self._fire = fire
        if self.is_active:
            fire()

    def fire(self) -> None:
        """Something moves, for a moment."""
        if self._fire is not None and not self.is_closed:
            self._fire()

    def close(self) -> None:
        """It fires no more."""
        self.is_closed = True
