"""A channel whose outcomes a test decides."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from edge_sdk.alerts.alert import Alert
from edge_sdk.alerts.channel import Fate, Outcome, Status
from edge_sdk.alerts.toll import Toll


class FakeChannel:
    """Carries alerts nowhere, and remembers them.

    Args:
        fates: what becomes of the tries, one after the other; then each is delivered.
        name: of the channel.

    Attributes:
        tried: every alert that was tried, in order.
        delivered: those that were delivered.
        shown: every status that was shown.
        device: name of the device.
        closed: whether the channel was closed.
    """

    def __init__(self, fates: Iterable[Fate | Outcome] = (), *, name: str = "fake") -> None:
        self.name = name
        self._fates = list(fates)
        self._news = threading.Condition()
        self.tried: list[Alert] = []
        self.delivered: list[Alert] = []
        self.shown: list[Status] = []
        self.device = ""
        self.closed = False

    def open(self, device: str, toll: Toll) -> None:
        """Remember the device's name."""
        self.device = device

    def deliver(self, alert: Alert) -> Outcome:
        """The next fate."""
        with self._news:
            fate = self._fates.pop(0) if self._fates else Fate.DELIVERED
            outcome = fate if isinstance(fate, Outcome) else Outcome(fate, str(fate.value))
            self.tried.append(alert)
            if outcome.fate is Fate.DELIVERED:
                self.delivered.append(alert)
            self._news.notify_all()
        return outcome

    def show(self, status: Status) -> None:
        """Remember the status."""
        with self._news:
            self.shown.append(status)
            self._news.notify_all()

    def wait(self, delivered: int = 0, *, shown: int = 0, tried: int = 0, wait_s: float = 60.0) -> bool:
        """Wait until that many alerts were delivered or tried, and that many states shown; False: they were not."""
        with self._news:
            return self._news.wait_for(
                lambda: len(self.delivered) >= delivered and len(self.shown) >= shown and len(self.tried) >= tried,
                wait_s,
            )

    def close(self) -> None:
        """End."""
        self.closed = True
