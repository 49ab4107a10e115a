"""What the server did, in numbers: for the line in the log once a minute."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

RECENT = 10_000


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts since the last one.

    Attributes:
        frames: answered by the model.
        batches: runs of the model.
        failures: frames that got no classification.
        repeats: frames answered from memory.
        refusals: calls that were not let in, or no longer.
        p50_ms: median time from a frame's arrival to its answer, over the latest 10,000 of them; 0 without frames.
        p95_ms: the 95th percentile of it.
    """

    frames: int
    batches: int
    failures: int
    repeats: int
    refusals: int
    p50_ms: float
    p95_ms: float

    def __str__(self) -> str:
        mean = self.frames / self.batches if self.batches else 0.0
        return (
            f"{self.frames} frames in {self.batches} batches (mean {mean:.1f}), {self.repeats} repeats, "
            f"{self.failures} failures, {self.refusals} calls refused, "
            f"p50 {self.p50_ms:.1f} ms, p95 {self.p95_ms:.1f} ms"
        )


class Stats:
    """Counters; used on the event loop alone."""

    def __init__(self) -> None:
        self._latency_s: deque[float] = deque(maxlen=RECENT)
        self._reset()

    def _reset(self) -> None:
        self._frames = 0
        self._batches = 0
        self.failures = 0
        self.repeats = 0
        self.refusals = 0
        self._latency_s.clear()

    def count_batch(self, size: int) -> None:
        """Count one run of the model on `size` frames."""
        self._batches += 1

    def answered(self, latency_s: float) -> None:
        """Count one frame that the model answered."""
        self._frames += 1
        self._latency_s.append(latency_s)

    def take(self) -> Summary:
        """The counts since the last call."""
        p50, p95 = np.percentile(self._latency_s, (50, 95)) * 1000 if self._latency_s else (0.0, 0.0)
        summary = Summary(
            self._frames, self._batches, self.failures, self.repeats, self.refusals, float(p50), float(p95)
        )
        self._reset()
        return summary
