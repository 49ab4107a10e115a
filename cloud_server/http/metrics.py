"""The server's counters as Prometheus metrics; docs/guides/server.md lists them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from cloud_server.fleet.exit_accuracy import exit_accuracy
from cloud_server.fleet.labelled_audits import LabelledAudit
from cloud_server.fleet.measures import Measures
from cloud_server.fleet.stats import BUCKETS_S, Stats
from cloud_server.http.series import LabelValues
from edge_sdk.fleet.report_file import Status, Tally

MOST_LABELS = 40
"""Labels of events that are counted apart, beside those of the server's own models."""
OTHER_LABELS = "other labels"
MOST_PERIODS = 20
"""Periods of budgets that have series of their own, beside the usual ones."""
OTHER_PERIODS = "other"
_PERIODS_S = (1.0, 60.0, 3_600.0, 86_400.0, 604_800.0, 2_592_000.0)


@dataclass(frozen=True, slots=True)
class Gauges:
    """Numbers of this moment; each is read from another thread.

    Attributes:
        waiting: frames that have come and are not in a batch yet.
        streams: open streams.
        cached: replies in the reply cache.
        archived_bytes: of the frame archives; gives None where there is none.
        tallies: audits and events of the last day, by device; None: reports are not taken.
        labelled: audits that people labelled here, by device; None: nobody can.
        devices: those that reported last: name, when in seconds since 1970, what; None: reports are not taken.
        labels: those of the models that are served.
    """

    waiting: Callable[[], int]
    streams: Callable[[], int]
    cached: Callable[[], int]
    archived_bytes: Callable[[], int | None] = lambda: None
    devices: Callable[[], list[tuple[str, float, Status]]] | None = None
    tallies: Callable[[], Mapping[str, Tally]] | None = None
    labelled: Callable[[], Mapping[str, tuple[LabelledAudit, ...]]] | None = None
    labels: Callable[[], Collection[str]] = tuple


class StatsCollector(Collector):
    """Turns `Stats` into metrics each time they are asked for: nothing is counted twice.

    Args:
        stats: the counters.
        gauges: numbers of the moment.
        model: the big model's name.
    """

    def __init__(self, stats: Stats, gauges: Gauges, model: str) -> None:
        self._stats, self._gauges, self._model = stats, gauges, model
        self._labels = LabelValues(MOST_LABELS, OTHER_LABELS)
        self._periods = LabelValues(MOST_PERIODS, OTHER_PERIODS, map("{:g}".format, _PERIODS_S))

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
        yield from _of_measures(stats.measures)
        yield GaugeMetricFamily("cloud_server_waiting_frames", "Frames not in a batch yet.", gauges.waiting())
        yield GaugeMetricFamily("cloud_server_open_streams", "Open streams.", gauges.streams())
        yield GaugeMetricFamily("cloud_server_cached_replies", "Replies in the reply cache.", gauges.cached())
        if (archived := gauges.archived_bytes()) is not None:
            yield GaugeMetricFamily("cloud_server_archive_bytes", "Size of the frame archives.", archived)
        if gauges.devices is not None:
            latest = gauges.devices()
            yield from _of_budgets(latest, self._periods)
            yield from _of_devices(latest)
            yield from _of_accuracy(latest, {} if gauges.labelled is None else gauges.labelled())
            if gauges.tallies is not None:
                known = frozenset(gauges.labels())
                yield from _of_tallies([device for device, *_ in latest], gauges.tallies(), self._labels, known)


def _of_measures(measures: Measures) -> Iterator[Metric]:
    calls = HistogramMetricFamily(
        "rpc_server_call_duration_seconds",
        "From the begin of a call to its end; of a stream as a whole.",
        labels=["rpc_system_name", "rpc_method", "rpc_response_status_code"],
    )
    for method, status, histogram in measures.calls():
        calls.add_metric(["grpc", method, status], *histogram.read())
    yield calls
    stages = HistogramMetricFamily(
        "edge_sdk_stage_seconds",
        "Stages of a frame: queue (from its arrival to its batch), decode (within that), run (of its batch).",
        labels=["stage"],
    )
    for stage, histogram in measures.stages.items():
        stages.add_metric([stage], *histogram.read())
    yield stages
    buckets, total = measures.batches.read()
    text = "Frames in one run of the big model."
    yield HistogramMetricFamily("edge_sdk_batch_frames", text, buckets=buckets, sum_value=total)
    text = "Bytes of the pictures that came from devices."
    yield CounterMetricFamily("edge_sdk_picture_bytes", text, measures.picture_bytes)
    answered = CounterMetricFamily("edge_sdk_model_frames", "Frames answered.", labels=["model", "version"])
    for model, version, count in measures.answered():
        answered.add_metric([model, version], count)
    yield answered
    text = "Frames that left an exit sequence there, the big model's own end included."
    exits = CounterMetricFamily("edge_sdk_model_exit_frames", text, labels=["model", "exit"])
    for model, name, count in measures.exits():
        exits.add_metric([model, name], count)
    yield exits
    refused = CounterMetricFamily("edge_sdk_refused_frames", "Frames refused.", labels=["device", "reason"])
    for device, reason, count in measures.refused():
        refused.add_metric([device, reason], count)
    yield refused


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
    ratio = GaugeMetricFamily(
        "edge_sdk_device_exit_ratio", "Its exits by its frames, since its first day.", labels=["device"]
    )
    for device, _, status in latest:
        if status.usage.frames:
            ratio.add_metric([device], status.usage.exit_ratio)
    yield ratio
    for name, (text, value) in told.items():
        metric = GaugeMetricFamily(f"cloud_server_device_{name}", text, labels=["device"])
        for device, at_s, status in latest:
            if (number := value(at_s, status)) is not None:
                metric.add_metric([device], number)
        yield metric


def _of_accuracy(
    latest: list[tuple[str, float, Status]], labelled: Mapping[str, tuple[LabelledAudit, ...]]
) -> Iterator[Metric]:
    """The accuracy of devices' exits, where their audits, and people's labels of these, say something of it."""
    agreement = _shares("edge_sdk_device_exit_agreement", "Its exits on which the cloud agrees, by its audits.")
    right = _shares("edge_sdk_device_exit_right", "Its exits on which it is right, by people's labels of its audits.")
    counted = GaugeMetricFamily(
        "edge_sdk_device_audits_labelled", "Its audits with a person's label.", labels=["device"]
    )
    for device, _, status in latest:
        if status.audits is not None:
            found = exit_accuracy(status.audits, labelled.get(device, ()))
            counted.add_metric([device], found.labelled)
            for metrics, share in ((agreement, found.agree), (right, found.right)):
                if share is not None:
                    for metric, value in zip(metrics, (share.share, share.low, share.high), strict=True):
                        metric.add_metric([device], value)
    yield from (*agreement, *right, counted)


def _shares(name: str, text: str) -> tuple[GaugeMetricFamily, ...]:
    """An estimated share by device, and the ends of its interval."""
    texts = {
        "ratio": text,
        "low_ratio": "The lower end of that estimate's interval of 95%.",
        "high_ratio": "The upper end of it.",
    }
    return tuple(GaugeMetricFamily(f"{name}_{end}", said, labels=["device"]) for end, said in texts.items())


def _of_budgets(latest: list[tuple[str, float, Status]], periods: LabelValues) -> Iterator[Metric]:
    """Budgets by their periods, of which a device may tell any; of several without series of their own the first."""
    labels = ["device", "period_seconds"]
    limits = GaugeMetricFamily("edge_sdk_device_budget_bytes", "A budget of its upload: the limit.", labels=labels)
    spent = GaugeMetricFamily("edge_sdk_device_budget_spent_bytes", "What it spent of that budget.", labels=labels)
    for device, _, status in latest:
        by_period = {f"{one.budget.period_s:g}": one for one in status.usage.budgets}
        periods.let_in(by_period)
        for period, one in {periods.shown(period): one for period, one in reversed(by_period.items())}.items():
            values = [device, period]
            limits.add_metric(values, one.budget.limit)
            spent.add_metric(values, one.spent)
    yield limits
    yield spent


def _of_tallies(
    devices: list[str], tallies: Mapping[str, Tally], labels: LabelValues, served: frozenset[str]
) -> Iterator[Metric]:
    """Audits and events of devices; labels that few say, once there are many, are counted together."""
    known = [(device, tallies[device]) for device in devices if device in tallies]
    text = "Its audits that the cloud answered."
    audits = GaugeMetricFamily("edge_sdk_device_audits", text, labels=["device"])
    text = "Of these, those on which the cloud says another label."
    differ = GaugeMetricFamily("edge_sdk_device_audits_differ", text, labels=["device"])
    for device, tally in known:
        audits.add_metric([device], tally.answered)
        differ.add_metric([device], tally.differ)
    yield audits
    yield differ
    told_by, total = Counter[str](), Counter[str]()
    for _, tally in known:
        told_by.update(tally.events.keys())
        total.update(tally.events)
    # What many devices say comes first: one alone, whatever it says and how often, crowds nobody out.
    labels.let_in(sorted(total.keys() - served, key=lambda label: (-told_by[label], -total[label], label)))
    text = "Its events that began within the last day, by label."
    events = GaugeMetricFamily("edge_sdk_device_events", text, labels=["device", "label"])
    for device, tally in known:
        counts: Counter[str] = Counter()
        for label, count in tally.events.items():
            counts[label if label in served else labels.shown(label)] += count
        for label, count in sorted(counts.items()):
            events.add_metric([device, label], count)
    yield events


def registry_of(collector: StatsCollector) -> CollectorRegistry:
    """A registry of this server alone: two servers in one process do not mix."""
    registry = CollectorRegistry()
    registry.register(collector)
    return registry
