"""Whether an idle model should wait for frames that are about to be ready.

A run of n frames takes about `start_s + n * each_s`. With r frames ready and k more ready w seconds from now, the r can
run at once and the k behind them, or all wait w and run together. Over all frames, the seconds until their answers are

    at once    r (start + r each) + k (2 start + (r + k) each)
    together   (r + k) (w + start + (r + k) each)

and together is less where (r + k) w < k (start - r each). So a GPU, whose runs cost nearly the same for any number of
frames, waits; a CPU, where a frame's own work outweighs the start, does not; and a lone frame never waits, since no
other is on its way.
"""

from __future__ import annotations

RETURN_S = 0.001
"""How long an idle model waits for callers that were just answered and are expected to send again."""
_WEIGHT = 0.2


def saving_s(ready: int, more: int, wait_s: float, start_s: float, each_s: float) -> float:
    """Seconds, summed over all frames, by which answers come sooner when `ready` wait for `more`; below 0: later."""
    return more * (start_s - ready * each_s) - (ready + more) * wait_s


def worth_waiting_s(
    ready: int, coming: int, room: int, *, one_s: float, at_once: int, first_s: float, start_s: float, each_s: float
) -> float:
    """How long the model should wait for company; 0: not at all.

    Args:
        ready: frames that could run now, at least 1.
        coming: frames that are about to be ready.
        room: frames of these that the batch has room for.
        one_s: seconds that one of them takes to be ready, once begun.
        at_once: how many of them get ready side by side.
        first_s: seconds until the first of them begins.
        start_s: what a run costs to begin, seconds.
        each_s: what each of its frames costs more, seconds.

    Returns:
        Seconds until the last of those is expected that are worth waiting for.
    """
    best_s, best = 0.0, 0.0
    for more in range(1, min(coming, room) + 1):
        wait_s = first_s + one_s * -(-more // at_once)
        saved = saving_s(ready, more, wait_s, start_s, each_s)
        if saved > best:
            best_s, best = wait_s, saved
    return best_s


class Returns:
    """How many of those that were just answered send their next frame within `RETURN_S`."""

    def __init__(self) -> None:
        self._share = 0.0
        self._answered = self._back = 0
        self._ended_s = float("-inf")

    def answered(self, frames: int, now_s: float) -> None:
        """A batch of `frames` frames is answered."""
        if self._answered:
            self._share += _WEIGHT * (min(1.0, self._back / self._answered) - self._share)
        self._answered, self._back, self._ended_s = frames, 0, now_s

    def arrived(self, now_s: float) -> None:
        """A frame has arrived."""
        self._back += now_s - self._ended_s <= RETURN_S

    def expected(self, now_s: float) -> int:
        """How many are still on their way back."""
        if now_s - self._ended_s > RETURN_S:
            return 0
        return max(0, int(self._share * self._answered + 0.5) - self._back)
