"""What the server did, in numbers: for the log, for the line at the end, and for `/metrics`."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cloud_server.fleet.measures import Measures

RECENT = 10_000
BUCKETS_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Upper bounds of the latency histogram, seconds."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts over a stretch of time.

    Attributes:
        frames: answered by the model.
        batches: runs of the model.
        failures: frames that got a failure in place of a classification.
        repeats: frames answered from the reply cache or by a run under way.
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

    def __bool__(self) -> bool:
        return bool(self.frames or self.failures or self.repeats or self.refusals)

    def __str__(self) -> str:
        mean = self.frames / self.batches if self.batches else 0.0
        return (
            f"{self.frames} frames in {self.batches} batches (mean {mean:.1f}), {self.repeats} repeats, "
            f"{self.failures} failures, {self.refusals} calls refused, "
            f"p50 {self.p50_ms:.1f} ms, p95 {self.p95_ms:.1f} ms"
        )


class Stats:
    """Counters, from the start on; changed on the event loop alone, read from any thread.

    Attributes:
        frames: answered by the model.
        batches: runs of the model.
        repeats: frames answered from the reply cache or by a run under way.
        refusals: calls that were not let in, or no longer.
        failures: frames that got a failure, by its code.
        latency_counts: answered frames in each bucket of `BUCKETS_S`, and, last, those above them.
        latency_s: seconds from arrival to answer, summed over all answered frames.
        measures: what else is measured; changed on any thread.
    """

    def __init__(self) -> None:
        self.frames = self.batches = self.repeats = self.refusals = 0
        self.failures: Counter[str] = Counter()
        self.latency_counts = [0] * (len(BUCKETS_S) + 1)
        self.latency_s = 0.0
        self.measures = Measures()
        self._recent_s: deque[float] = deque(maxlen=RECENT)
        self._taken = (0, 0, 0, 0, 0)

    def count_batch(self, size: int) -> None:
        """Count one run of the model on `size` frames."""
        self.batches += 1
        self.measures.batches.count(size)

    def count_answer(self, latency_s: float) -> None:
        """Count one frame that the model answered."""
        self.frames += 1
        self.latency_s += latency_s
        self.latency_counts[bisect_left(BUCKETS_S, latency_s)] += 1
        self._recent_s.append(latency_s)

    def count_failure(self, code: str) -> None:
        """Count one frame that got a failure of this code."""
        self.failures[code] += 1

    def take(self) -> Summary:
        """The counts since the last call."""
        now = self._counts()
        since = [count - before for count, before in zip(now, self._taken, strict=True)]
        self._taken = now
        return self._summary(since)

    def total(self) -> Summary:
        """The counts since the start."""
        return self._summary(self._counts())

    def _counts(self) -> tuple[int, int, int, int, int]:
        return self.frames, self.batches, self.failures.total(), self.repeats, self.refusals

    def _summary(self, counts: Sequence[int]) -> Summary:
        frames, batches, failures, repeats, refusals = counts
        recent = list(self._recent_s)[-frames:] if frames else []
        p50, p95 = np.percentile(recent, (50, 95)) * 1000 if recent else (0.0, 0.0)
        return Summary(frames, batches, failures, repeats, refusals, float(p50), float(p95))
