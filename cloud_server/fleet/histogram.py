"""A histogram: how many values fell into each bucket, and their sum; counted on any thread."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

CALL_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Upper bounds that OpenTelemetry's conventions advise for the duration of calls, seconds."""
STAGE_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds for stages of a frame, seconds."""
SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
"""Upper bounds for sizes of batches, frames."""


class Histogram:
    """Counts values.

    Args:
        bounds: upper bounds of the buckets, ascending; above the last one is one more bucket.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self._guard = threading.Lock()

    def count(self, value: float) -> None:
        """Count one value."""
        with self._guard:
            self._counts[bisect_left(self._bounds, value)] += 1
            self._sum += value

    def read(self) -> tuple[list[tuple[str, float]], float]:
        """Upper bounds, each with the number of values up to it, the last "+Inf"; and the sum of all values."""
        with self._guard:
            counts, total = tuple(self._counts), self._sum
        names = (*(str(bound) for bound in self._bounds), "+Inf")
        return [(name, float(count)) for name, count in zip(names, accumulate(counts), strict=True)], total
