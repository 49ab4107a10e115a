"""How long the model takes for a batch, learned from the batches that ran."""

from __future__ import annotations

from bisect import bisect_left

WEIGHT = 0.2
"""Of the latest run in the moving mean for its size."""


class RunTimes:
    """Moving means of the time of a run, by its number of frames; between two sizes the line between them."""

    def __init__(self) -> None:
        self._mean_s: dict[int, float] = {}
        self._sizes: list[int] = []

    def add(self, frames: int, took_s: float) -> None:
        """Learn from one run of `frames` frames."""
        if frames not in self._mean_s:
            self._sizes.insert(bisect_left(self._sizes, frames), frames)
            self._mean_s[frames] = took_s
        self._mean_s[frames] += WEIGHT * (took_s - self._mean_s[frames])

    def of(self, frames: int) -> float:
        """Seconds that a run of `frames` frames takes; 0 where nothing is known.

        Above the sizes that ran it is proportional, below them the same: it is not too low.
        """
        if not self._sizes:
            return 0.0
        at = bisect_left(self._sizes, frames)
        if at == len(self._sizes):
            largest = self._sizes[-1]
            return self._mean_s[largest] * frames / largest
        above = self._sizes[at]
        if at == 0:
            return self._mean_s[above]
        below = self._sizes[at - 1]
        part = (frames - below) / (above - below)
        return self._mean_s[below] + part * (self._mean_s[above] - self._mean_s[below])

    def line(self) -> tuple[float, float]:
        """What a run costs to begin and what each of its frames costs more, seconds.

        Of the line through the smallest and the largest size that ran; of one size alone all is the frames' cost.
        """
        if not self._sizes:
            return 0.0, 0.0
        small, large = self._sizes[0], self._sizes[-1]
        small_s, large_s = self._mean_s[small], self._mean_s[large]
        if small == large:
            return 0.0, small_s / small
        each_s = min(max(0.0, (large_s - small_s) / (large - small)), small_s / small)
        return max(0.0, small_s - small * each_s), each_s
