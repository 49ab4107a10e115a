from __future__ import annotations

from bisect import bisect_left
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_server.fleet.stats import BUCKETS_S, Stats
from cloud_server.http.metrics import Gauges, StatsCollector

pytest.importorskip("ray", reason='needs Ray: pip install ".[cloud,ray]"')
pytestmark = pytest.mark.filterwarnings("ignore")  # of Ray's own code


class _Told:
    """One of Ray's metrics; what it was told, by name and labels."""

    told: dict[tuple[str, str], list[float]]

    def __init__(self, name: str, description: str, tag_keys: tuple[str, ...], **more: Any) -> None:
        self._name, self._keys = name, tag_keys

    def inc(self, value: float, tags: dict[str, str]) -> None:
        assert set(tags) == set(self._keys)
        self.told.setdefault((self._name, " ".join(tags.values())), []).append(value)

    set = observe = inc


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], list[float]]:
    from ray.serve import metrics

    found: dict[tuple[str, str], list[float]] = {}
    fake = type("Told", (_Told,), {"told": found})
    for kind in ("Counter", "Gauge", "Histogram"):
        monkeypatch.setattr(metrics, kind, fake)
    return found


def test_each_count_is_told_once(told: dict[tuple[str, str], list[float]]) -> None:
    from cloud_server.ray_metrics import RayMetrics

    stats = Stats()
    metrics = RayMetrics(StatsCollector(stats, Gauges(lambda: 3, lambda: 2, lambda: 1), "big"))
    stats.count_answer(0.03)
    stats.count_batch(2)
    stats.measures.count_answer("big", "v1")
    metrics.publish()
    metrics.publish()
    stats.measures.count_answer("big", "v1")
    stats.measures.count_refusal("cam-1", True, "OVERLOADED")
    metrics.publish()
    assert told["cloud_server_frames", ""] == [1]
    assert told["edge_sdk_model_frames", "big v1"] == [1, 1]
    assert told["edge_sdk_refused_frames", "cam-1 OVERLOADED"] == [1]
    assert told["edge_sdk_batch_frames", ""] == [pytest.approx(2)]
    assert told["cloud_server_latency_seconds", ""] == [pytest.approx(0.03)]
    assert told["cloud_server_waiting_frames", ""] == [3, 3, 3]
    assert told["cloud_server_model_info", "big"] == [1, 1, 1]


@given(st.lists(st.floats(0.0001, 40), max_size=50))
def test_values_of_buckets_have_the_counts_and_the_sum(values: list[float]) -> None:
    from cloud_server.ray_metrics import spread

    counts = [0] * (len(BUCKETS_S) + 1)
    for value in values:
        counts[bisect_left(BUCKETS_S, value)] += 1
    again = [0] * len(counts)
    found = spread([*BUCKETS_S, float("inf")], counts, sum(values))
    for value, count in found:
        again[bisect_left(BUCKETS_S, value)] += count
    assert again == counts
    assert sum(value * count for value, count in found) == pytest.approx(sum(values), rel=1e-3, abs=1e-4)
