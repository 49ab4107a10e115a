"""Whether the model still answers: a GPU whose context is gone fails every frame, and a load balancer should know.

Frames that fail raise the question; a picture of the server's own answers it. So a device that sends what no model can
stand takes no server down, and a model that has died is found though no device sends anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable

LONGEST_RUN_S = 20.0
"""A run that takes longer counts as hanging, on machines where the warm-up was quick."""
WARM_UPS = 5
"""A run may take this many times the warm-up, if that is more."""
CHECKS = 3
"""Checks in a row that fail make a model a broken one."""
CHECK_EVERY_S = 4.0
"""Seconds between two checks while frames or checks fail."""
IDLE_CHECK_S = 60.0
"""Seconds without a run until an idle model is checked."""


class ModelWatch:
    """Watches the runs of the model; used on one event loop, read from any thread.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._longest_s = LONGEST_RUN_S
        self._began_s: float | None = None
        self._ended_s = self._checked_s = clock()
        self._is_suspect = False
        self._failed_checks = 0

    @property
    def is_suspect(self) -> bool:
        """Whether the latest frames or checks all failed."""
        return self._is_suspect

    @property
    def longest_s(self) -> float:
        """A run that takes longer counts as hanging."""
        return self._longest_s

    def warmed_up(self, took_s: float) -> None:
        """Tell how long the warm-up took: slow models may take longer for a run."""
        self._longest_s = max(LONGEST_RUN_S, WARM_UPS * took_s)
        self._ended_s = self._clock()

    def begin(self) -> None:
        """A run begins."""
        self._began_s = self._clock()

    def end(self, *, answered: int, failed: int) -> None:
        """The run has ended; how many of its frames were answered, and how many failed."""
        self._began_s, self._ended_s = None, self._clock()
        if answered:
            self._is_suspect, self._failed_checks = False, 0
        elif failed:
            self._is_suspect = True

    @property
    def wants_check(self) -> bool:
        """Whether the model should get a picture of the server's own now."""
        now = self._clock()
        if self._is_suspect:
            return now - self._checked_s >= CHECK_EVERY_S
        return self._began_s is None and now - max(self._ended_s, self._checked_s) >= IDLE_CHECK_S

    def check_begins(self) -> None:
        """The model is given a picture of the server's own."""
        self._checked_s = self._clock()

    def check_failed(self) -> None:
        """It was not answered; one that is answered is told by `end`."""
        self._is_suspect = True
        self._failed_checks += 1

    @property
    def is_alive(self) -> bool:
        """False while a run hangs, or every frame fails and the server's own pictures too."""
        began_s = self._began_s
        if began_s is not None and self._clock() - began_s > self._longest_s:
            return False
        return self._failed_checks < CHECKS
