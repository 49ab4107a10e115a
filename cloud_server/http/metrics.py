"""The server's counters as Prometheus metrics; docs/guides/server.md lists them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from cloud_server.fleet.stats import BUCKETS_S, Stats
from edge_sdk.fleet.report_file import Status


@dataclass(frozen=True, slots=True)
class Gauges:
    """Numbers of this moment; each is read from another thread.

    Attributes:
        waiting: frames that have come and are not in a batch yet.
        streams: open streams.
        cached: replies in the reply cache.
        archived_bytes: of the frame archive; None: there is none.
        devices: those that reported last: name, when in seconds since 1970, what; None: reports are not taken.
    """

    waiting: Callable[[], int]
    streams: Callable[[], int]
    cached: Callable[[], int]
    archived_bytes: Callable[[], int] | None = None
    devices: Callable[[], list[tuple[str, float, Status]]] | None = None


class StatsCollector(Collector):
    """Turns `Stats` into metrics each time they are asked for: nothing is counted twice.

    Args:
        stats: the counters.
        gauges: numbers of the moment.
        model: the big model's name.
    """

    def __init__(self, stats: Stats, gauges: Gauges, model: str) -> None:
        self._stats, self._gauges, self._model = stats, gauges, model

    def collect(self) -> Iterator[Metric]:
        """All metrics."""
        stats, gauges = self._stats, self._gauges
        yield InfoMetricFamily("cloud_server_model", "The big model.", {"name": self._model})
        yield CounterMetricFamily("cloud_server_frames", "Frames that the big model answered.", stats.frames)
        yield CounterMetricFamily(
            "cloud_server_repeats", "Frames answered from the reply cache or by a run under way.", stats.repeats
        )
        failures = CounterMetricFamily("cloud_server_failures", "Frames that got a failure, by code.", labels=["code"])
        for code, count in sorted(stats.failures.copy().items()):
            failures.add_metric([code], count)
        yield failures
        yield CounterMetricFamily("cloud_server_batches", "Runs of the big model.", stats.batches)
        yield CounterMetricFamily("cloud_server_refused_calls", "Calls that were not let in.", stats.refusals)
        bounds = (*(str(bound) for bound in BUCKETS_S), "+Inf")
        yield HistogramMetricFamily(
            "cloud_server_latency_seconds",
            "From a frame's arrival to its answer.",
            buckets=list(zip(bounds, accumulate(stats.latency_counts), strict=True)),
            sum_value=stats.latency_s,
        )
        yield GaugeMetricFamily("cloud_server_waiting_frames", "Frames not in a batch yet.", gauges.waiting())
        yield GaugeMetricFamily("cloud_server_open_streams", "Open streams.", gauges.streams())
        yield GaugeMetricFamily("cloud_server_cached_replies", "Replies in the reply cache.", gauges.cached())
        if gauges.archived_bytes is not None:
            yield GaugeMetricFamily("cloud_server_archive_bytes", "Size of the frame archive.", gauges.archived_bytes())
        if gauges.devices is not None:
            yield from _of_devices(gauges.devices())


def _of_devices(latest: list[tuple[str, float, Status]]) -> Iterator[Metric]:
    """What devices told of themselves, as many of them as the server holds in memory."""
    told: dict[str, tuple[str, Callable[[float, Status], float | None]]] = {
        "last_report_seconds": ("When the device reported last, seconds since 1970.", lambda at_s, _: at_s),
        "frames": ("Frames that its little model saw.", lambda _, status: status.usage.frames),
        "exits": ("Of these, frames whose device answer was final.", lambda _, status: status.usage.exits),
        "sent_bytes": ("Bytes charged against its upload budgets.", lambda _, status: status.usage.bytes_sent),
        "waiting_frames": ("Frames that wait there for the cloud.", lambda _, status: status.waiting),
        "celsius": ("Temperature of its processor.", lambda _, status: status.health.celsius),
        "disk_free_bytes": ("Free bytes of its disk.", lambda _, status: status.health.disk_free),
        "settings_version": ("Version of the signed settings it holds.", lambda _, status: status.held.version),
    }
    for name, (text, value) in told.items():
        metric = GaugeMetricFamily(f"cloud_server_device_{name}", text, labels=["device"])
        for device, at_s, status in latest:
            if (number := value(at_s, status)) is not None:
                metric.add_metric([device], number)
        yield metric


def registry_of(collector: StatsCollector) -> CollectorRegistry:
    """A registry of this server alone: two servers in one process do not mix."""
    registry = CollectorRegistry()
    registry.register(collector)
    return registry
