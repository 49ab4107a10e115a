"""Which of several servers is tried next, and when. Pure: nothing is sent here, and the clock is given.

The first server that works is used. One that fails rests: while no other works, for a wait that doubles with its
failures, as the only server's does; while another one works, for longer (`return_s`, doubled with each try in vain, up
to eight times), since each look costs bytes and gains nothing at present. So a device comes back to the first server by
itself, and its jitter keeps a fleet from coming back at once. Where the budget does not pay for a look and for the way
back, the server that works is used on.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from edge_sdk.config import UplinkSettings

MOST_GROWTH = 8
"""A server is looked at again after this many times `return_s` at the latest, jitter apart."""


@dataclass(slots=True)
class _Server:
    failed_at_s: float | None = None
    """Of its latest try; None: it works, or was never tried."""
    wait_s: float = 0.0
    """Its next failure's wait while no other works."""
    rest_s: float = 0.0
    """Its rest now, while no other works."""
    away: int = 0
    """Tries in vain since it answered while another one worked."""
    spread: float = 1.0


class Servers:
    """The servers of one device, by their place in its list: the lower, the rather. For one thread.

    Args:
        count: how many.
        settings: `backoff_s`, `max_backoff_s` and `return_s`.
        now: seconds that never run backwards.
        jitter: a number from 0 to 1, another one each time.
    """

    def __init__(
        self,
        count: int,
        settings: UplinkSettings,
        *,
        now: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._settings, self._now, self._jitter = settings, now, jitter
        self._all = [_Server(wait_s=settings.backoff_s) for _ in range(count)]
        self._last: int | None = None
        self._resume_at_s = 0.0

    @property
    def last(self) -> int | None:
        """The server that opened a connection last; None: none has."""
        return self._last

    def works(self, place: int) -> bool:
        """Whether its latest try did not fail; one that was never tried is thought to work."""
        return self._all[place].failed_at_s is None

    @property
    def any_works(self) -> bool:
        """Whether there is one that works, as far as is known."""
        return any(self.works(place) for place in range(len(self._all)))

    @property
    def wait_s(self) -> float:
        """Seconds until one may be tried; 0: now."""
        now_s = self._now()
        soonest_s = min(self._ready_at_s(place) for place in range(len(self._all)))
        return max(0.0, soonest_s - now_s, self._resume_at_s - now_s)

    def choose(self, pays: Callable[[int, int], bool]) -> int:
        """The server to be tried next: the first that does not rest, or that rests least.

        Args:
            pays: whether the budget pays for a try at one server and, after that, at a second one.
        """
        now_s, last = self._now(), self._last
        ready = [place for place in range(len(self._all)) if self._ready_at_s(place) <= now_s]
        if not ready:
            return min(range(len(self._all)), key=self._ready_at_s)
        if last in ready and self.works(last) and ready[0] < last and not pays(ready[0], last):
            return last
        return ready[0]

    def opened(self, place: int) -> None:
        """A connection to it was opened: it works, as far as is known."""
        self._last, self._all[place].failed_at_s = place, None

    def answered(self, place: int) -> None:
        """It has answered, or was left in peace: its next failure is its first."""
        server = self._all[place]
        server.wait_s, server.away = self._settings.backoff_s, 0

    def failed(self, place: int, *, for_long: bool = False) -> None:
        """A try at it failed, or its connection ended by failure.

        Args:
            place: the server.
            for_long: a person must act before it can work.
        """
        settings, server = self._settings, self._all[place]
        if for_long:
            server.wait_s = settings.max_backoff_s
        server.spread = self._jitter()
        near = 0.75 + server.spread / 2
        server.failed_at_s, server.rest_s = self._now(), server.wait_s * near
        server.wait_s = min(server.wait_s * 2, settings.max_backoff_s)
        if self.any_works:
            server.away += 1
        self._resume_at_s = server.failed_at_s + settings.backoff_s * near

    def _ready_at_s(self, place: int) -> float:
        server = self._all[place]
        if server.failed_at_s is None:
            return 0.0
        if not self.any_works:
            return server.failed_at_s + server.rest_s
        growth = min(2.0 ** max(0, min(server.away, 10) - 1), MOST_GROWTH)
        return server.failed_at_s + max(server.rest_s, self._settings.return_s * growth * (0.5 + server.spread))
