"""The pace of a batcher: what it has learned of its runs and callers, and what it expects from that."""

from __future__ import annotations

from cloud_server.model.company import RETURN_S, Returns, worth_waiting_s
from cloud_server.model.queue_time import answer_s
from cloud_server.model.run_times import RunTimes


class Pace:
    """Told of runs and arrivals; times are on one monotonic clock, seconds.

    Attributes:
        times: how long runs take.
    """

    def __init__(self) -> None:
        self.times = RunTimes()
        self._returns = Returns()
        self._running: tuple[int, float] | None = None

    def arrived(self, now_s: float) -> None:
        """A frame has arrived."""
        self._returns.arrived(now_s)

    def begin(self, frames: int, now_s: float) -> None:
        """A run of `frames` frames begins."""
        self._running = frames, now_s

    def end(self, now_s: float, *, failed: bool) -> None:
        """The run has ended; one that failed says nothing of times."""
        if self._running is None:
            return
        frames, began_s = self._running
        self._running = None
        if not failed:
            self.times.add(frames, now_s - began_s)
        self._returns.answered(frames, now_s)

    def answer_s(self, ahead: int, batch: int, now_s: float) -> float:
        """Seconds until a frame that arrives now is answered; 0 where nothing is before it.

        Args:
            ahead: frames that are served before it.
            batch: most frames in one run.
            now_s: the time.
        """
        if self._running is None:
            return answer_s(ahead, batch, self.times.of, 0.0) if ahead else 0.0
        frames, began_s = self._running
        return answer_s(ahead, batch, self.times.of, max(0.0, began_s + self.times.of(frames) - now_s))

    def company_s(self, ready: int, decoding: int, room: int, now_s: float, *, one_s: float, at_once: int) -> float:
        """How long the idle model should wait for company; 0: not at all (`company`).

        Args:
            ready: frames that could run now, at least 1.
            decoding: frames in decode, and those that wait for it.
            room: frames that the batch has room for beside.
            now_s: the time.
            one_s: seconds that decoding one takes.
            at_once: frames that are decoded side by side.
        """
        back = self._returns.expected(now_s)
        start_s, each_s = self.times.line()
        return worth_waiting_s(
            ready,
            decoding + back,
            room,
            one_s=one_s,
            at_once=at_once,
            first_s=RETURN_S if back else 0.0,
            start_s=start_s,
            each_s=each_s,
        )
