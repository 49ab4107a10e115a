"""What failed on the way: how often a frame was tried, when it may be sent again, and when it is given up.

A frame that fails steps back behind others, waits longer each time, and is sent alone from then on, so that what
happens next is its own doing. Its tries are counted in the store, over restarts. A try counts in full where the frame
is to blame: the server failed on it by name, or has answered others since and yet the connection ended on this one. A
busy server, and a connection that ends while nothing is answered at all, are an outage: a try counts a quarter.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from enum import Enum, auto

from edge_sdk.config import UplinkSettings
from edge_sdk.store.spool import Spool

_OUTAGE = 0.25
_GROWTH = 4.0
_LONGEST_RESTS = 8.0


class Cause(Enum):
    """Why a frame was not answered."""

    FRAME = auto()
    """The server failed on what it was sent, and says so."""
    CONNECTION = auto()
    """The connection ended, or no reply came, while the frame was on its way."""
    BUSY = auto()
    """The server has no room at present; that says nothing of the frame."""


class Retries:
    """Frames that failed, and how far the server is trusted. For one thread; outlives connections.

    Args:
        spool: the frames that wait; it keeps the count of their tries.
        settings: waits, and the most tries.
        now: seconds that never run backwards.

    Attributes:
        probing: the latest word was a failure: one frame at a time is sent until one is answered.
        last: the latest failure, in words.
    """

    def __init__(self, spool: Spool, settings: UplinkSettings, now: Callable[[], float] = time.monotonic) -> None:
        self._spool, self._settings, self._now = spool, settings, now
        self._answers = 0
        self._opened_at = 0  # answers when the connection opened
        self._row = 0  # failures since the latest answer
        self._resume_at_s = 0.0
        self._failed: dict[str, tuple[int, int, float]] = {}  # failures, answers then, when it may leave again
        self.probing = spool.any_tried
        self.last = ""

    def opened(self) -> None:
        """A connection begins."""
        self._opened_at = self._answers

    def answered(self, frame_id: str) -> None:
        """The server has said its last word on a frame."""
        self._answers += 1
        self._row = 0
        self.probing = False
        self._failed.pop(frame_id, None)

    def failed(self, frame_id: str, message: str, cause: Cause) -> str | None:
        """Count a failed try, and let the frame step back.

        Args:
            frame_id: the frame.
            message: what the server said, or how the connection ended.
            cause: why it failed.

        Returns:
            Why the frame is given up; None: it is tried again later.
        """
        self.probing, self.last = True, message
        times, answers, _ = self._failed.get(frame_id, (0, self._opened_at, 0.0))
        blamed = cause is Cause.FRAME or (cause is Cause.CONNECTION and self._answers > answers)
        spent = self._spool.step_back(frame_id, 1.0 if blamed else _OUTAGE)
        times = max(times + 1, math.ceil(spent))
        if spent > self._settings.max_tries - 1:
            self._failed.pop(frame_id, None)
            return f"sent {times} times without an answer; the latest failure: {message}"
        longest_s = _LONGEST_RESTS * self._settings.max_backoff_s
        rest_s = min(self._settings.backoff_s * _GROWTH ** min(times, 32), longest_s)
        self._failed[frame_id] = times, self._answers, self._now() + rest_s
        return None

    def hold_all(self) -> float:
        """Let nothing leave for a while after the server has put a frame off; for how many seconds."""
        self._row += 1
        wait_s = min(self._settings.backoff_s * 2.0 ** min(self._row, 32), self._settings.max_backoff_s)
        self._resume_at_s = self._now() + wait_s
        return wait_s

    @property
    def pause_s(self) -> float:
        """Seconds until anything may leave; 0 or less: now."""
        return self._resume_at_s - self._now()

    def tried(self, frame_id: str) -> bool:
        """Whether a frame has failed before: nothing else is on its way beside it."""
        return self._spool.tries(frame_id) > 0

    def rests(self) -> dict[str, float]:
        """Frames that may not leave yet, and for how many seconds more (over 0): one look at the clock for all."""
        now_s = self._now()
        self._failed = {frame_id: entry for frame_id, entry in self._failed.items() if frame_id in self._spool}
        return {frame_id: until_s - now_s for frame_id, (_, _, until_s) in self._failed.items() if until_s > now_s}

    def sentence(self) -> str:
        """Why frames rest, for a person."""
        return f"the frames that wait failed and are tried again later: {self.last}"
