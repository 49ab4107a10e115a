"""Whether the model still answers: a GPU whose context is gone fails every frame, and a load balancer should know."""

from __future__ import annotations

import time
from collections.abc import Callable

LONGEST_RUN_S = 20.0
"""A run that takes longer counts as hanging, on machines where the warm-up was quick."""
WARM_UPS = 5
"""A run may take this many times the warm-up, if that is more."""
FAILURES = 20
"""Failed frames in a row, none answered between them, that make a model a broken one ..."""
FAILING_S = 10.0
"""... where they come over at least this time: one burst of bad frames is not enough ..."""
FORGET_S = 60.0
"""... and for this long after the last of them: then the server offers itself again, and finds out."""


class ModelWatch:
    """Watches the runs of the model; used on one event loop, read from any thread.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._longest_s = LONGEST_RUN_S
        self._began_s: float | None = None
        self._failures = 0
        self._first_s = self._last_s = 0.0

    def warmed_up(self, took_s: float) -> None:
        """Tell how long the warm-up took: slow models may take longer for a run."""
        self._longest_s = max(LONGEST_RUN_S, WARM_UPS * took_s)

    def begin(self) -> None:
        """A run begins."""
        self._began_s = self._clock()

    def end(self, *, answered: int, failed: int) -> None:
        """The run has ended; how many of its frames were answered, and how many failed."""
        self._began_s = None
        if answered:
            self._failures = 0
        elif failed:
            self._last_s = self._clock()
            if not self._failures:
                self._first_s = self._last_s
            self._failures += failed

    @property
    def is_alive(self) -> bool:
        """False while a run hangs, or all frames fail."""
        now, began_s = self._clock(), self._began_s
        if began_s is not None and now - began_s > self._longest_s:
            return False
        all_fail = self._failures >= FAILURES and self._last_s - self._first_s >= FAILING_S
        return not (all_fail and now - self._last_s <= FORGET_S)
