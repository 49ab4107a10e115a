"""A replica's counts as Ray's metrics, under the names that `/metrics` of `cloud-server` has.

Ray puts `ray_` before each name, and the deployment, replica and application to the labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from prometheus_client.metrics_core import Metric
from ray.serve import metrics

from cloud_server.http.metrics import StatsCollector

Labels = tuple[tuple[str, str], ...]


class RayMetrics:
    """Hands what was counted since the last time to Ray.

    Args:
        collector: gives the counts since the start of the replica.
    """

    def __init__(self, collector: StatsCollector) -> None:
        self._collector = collector
        self._metrics: dict[str, Any] = {}
        self._seen: dict[tuple[str, Labels], float] = {}

    def publish(self) -> None:
        """Tell Ray; used on one thread at a time."""
        for family in self._collector.collect():
            if family.type == "histogram":
                self._observe(family)
                continue
            for sample in family.samples:
                if family.type == "counter":
                    if (more := self._more(sample.name, sample.labels, sample.value)) > 0:
                        self._metric(metrics.Counter, family, sample.labels).inc(more, tags=dict(sample.labels))
                else:
                    self._metric(metrics.Gauge, family, sample.labels).set(sample.value, tags=dict(sample.labels))

    def _more(self, name: str, labels: dict[str, str], value: float) -> float:
        """How much a number has grown since the last time."""
        key = (name, tuple(sorted(labels.items())))
        before, self._seen[key] = self._seen.get(key, 0.0), value
        return value - before

    def _metric(self, kind: Any, family: Metric, labels: Iterable[str], **more: Any) -> Any:
        if family.name not in self._metrics:
            name = f"{family.name}_info" if family.type == "info" else family.name
            self._metrics[family.name] = kind(name, description=family.documentation, tag_keys=tuple(labels), **more)
        return self._metrics[family.name]

    def _observe(self, family: Metric) -> None:
        bounds: dict[Labels, list[float]] = {}
        counts: dict[Labels, list[int]] = {}
        sums: dict[Labels, float] = {}
        for sample in family.samples:
            more = self._more(sample.name, sample.labels, sample.value)
            labels = tuple((key, value) for key, value in sample.labels.items() if key != "le")
            if sample.name.endswith("_bucket"):
                bounds.setdefault(labels, []).append(float(sample.labels["le"]))
                counts.setdefault(labels, []).append(round(more))
            elif sample.name.endswith("_sum"):
                sums[labels] = more
        for labels, upper in bounds.items():
            of_bucket = [count - below for count, below in zip(counts[labels], [0, *counts[labels]], strict=False)]
            names = [key for key, _ in labels]
            metric = self._metric(metrics.Histogram, family, names, boundaries=upper[:-1])
            for value, count in spread(upper, of_bucket, sums.get(labels, 0.0)):
                for _ in range(count):
                    metric.observe(value, tags=dict(labels))


def spread(upper: Sequence[float], counts: Sequence[int], total: float) -> list[tuple[float, int]]:
    """A value for each bucket of a histogram, such that the buckets' counts and the sum of all come out.

    Args:
        upper: the buckets' upper bounds, ascending; the last one is infinity.
        counts: how many values each has.
        total: their sum; what no values in these buckets can add up to is met as nearly as they can.

    Returns:
        Value and count of each bucket that has any.
    """
    lower = [0.0, *upper[:-1]]
    finite = list(zip(lower[:-1], upper[:-1], counts[:-1], strict=True))
    least = sum(count * low for low, _, count in finite)
    room = sum(count * (high - low) for low, high, count in finite)
    left = total - least - counts[-1] * lower[-1]  # above the lower bounds of all
    share = min(1.0, max(1e-6, left / room)) if room else 0.0  # the lower bound itself is the next bucket's
    values = [(low + share * (high - low), count) for low, high, count in finite if count]
    if counts[-1]:
        beyond = (left - share * room) / counts[-1]
        values.append((lower[-1] + max(beyond, lower[-1] * 1e-6), counts[-1]))
    return values
