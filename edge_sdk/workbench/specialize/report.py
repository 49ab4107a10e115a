"""The report of a specialisation: cost and accuracy of each stage, and of the control."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edge_sdk.durable.files import write_whole
from edge_sdk.terminal.tables import Rows
from edge_sdk.workbench.cascade.paired import Difference
from edge_sdk.workbench.specialize.target import parse_targets
from edge_sdk.workbench.spent import Spent

_TOLERANCE = 0.05  # of times, which vary by so much on a quiet machine


class Stage(msgspec.Struct, frozen=True):
    """A network at one stage of the compression.

    Attributes:
        name: of the stage.
        parameters: number of weights; of a sparse network those that are not 0.
        macs: multiply-accumulates per picture.
        accuracy: share of the test pictures that it answers rightly; None without test pictures.
        model_bytes: size of an int8 bundle of its shape; None if none was written.
        latency_ms: of that bundle for one picture, one thread, in turns with the others.
    """

    name: str
    parameters: int
    macs: int
    accuracy: float | None
    model_bytes: int | None = None
    latency_ms: float | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one specialisation; times and sizes are of int8 bundles in the device's runtime, taken in one run.

    Attributes:
        model: the big model's architecture.
        task: its classes.
        pictures: number of pictures of the task.
        unlabelled: number of further ones whose class was not given.
        test_pictures: number of test pictures.
        targets: as given by the user.
        stages: from the big model, restricted to the task, to the distilled small one, measured in torch.
        control: the same compression on as many generic pictures; None if it was left out.
        bundle_accuracy: of the bundle on the test pictures.
        big_bundle_accuracy: of the big model's, restricted and exported likewise.
        against_big: the bundle's accuracy less that of the big model, restricted, on the same pictures.
        against_control: the small network's less the control's.
        packed_bytes: size of `model.pte` after zlib compression, which zero weights make smaller.
        big_packed_bytes: the same of the big model's.
        dense: layers that were not cut, by name, with the reason.
        widths: channels of each group that stayed.
        seed: of all choices.
        sessions: number of times that the work was begun or continued.
        seconds: duration of all sessions.
        peak_memory_bytes: peak memory of the process, in any session.
    """

    model: str
    task: tuple[str, ...]
    pictures: int
    test_pictures: int
    targets: tuple[str, ...]
    stages: tuple[Stage, ...]
    control: Stage | None
    bundle_accuracy: float | None
    big_bundle_accuracy: float | None
    packed_bytes: int
    big_packed_bytes: int
    dense: dict[str, str]
    widths: dict[str, int]
    seed: int
    seconds: float
    peak_memory_bytes: int
    sessions: int = 1
    unlabelled: int = 0
    against_big: Difference | None = None
    against_control: Difference | None = None

    @property
    def faster(self) -> float:
        """How many times faster than the big model's bundle."""
        return _ratio(self.stages[0].latency_ms, self.stages[-1].latency_ms)

    @property
    def smaller(self) -> float:
        """How many times smaller than the big model's bundle."""
        return _ratio(self.stages[0].model_bytes, self.stages[-1].model_bytes)

    @property
    def gain(self) -> float | None:
        """Specialization gain: accuracy above that of the control (TACO, arXiv 2303.14409, section 4)."""
        return None if self.against_control is None else self.against_control.value

    @property
    def spent(self) -> Spent:
        """What all sessions have cost."""
        return Spent(self.sessions, self.seconds, self.peak_memory_bytes)

    def missed(self) -> dict[str, str]:
        """Targets that the finished bundle misses, with the value reached. Times may exceed a target by 5%."""
        big, small = self.stages[0], self.stages[-1]
        found = {}
        for target in parse_targets(self.targets):
            of = {"params": "parameters", "macs": "macs", "size": "model_bytes"}.get(target.measure, "latency_ms")
            whole, came = (float(getattr(stage, of) or 0) for stage in (big, small))
            if came > target.limit(whole) * (1 + _TOLERANCE * (of == "latency_ms")):
                found[str(target)] = f"{whole / came:.2f}x" if target.relative else f"{came:.3g}"
        return found

    def sentence(self) -> str:
        """The result in one line."""
        big, small = self.stages[0], self.stages[-1]
        text = (
            f"{big.parameters / small.parameters:.1f}x fewer parameters, {big.macs / small.macs:.1f}x fewer MACs, "
            f"{self.faster:.1f}x faster, {self.smaller:.1f}x smaller"
        )
        if self.against_big is not None:
            text += f"; {self.against_big.points()} against the big model on the task"
        if self.against_control is not None:
            text += f"; specialization gain {self.against_control.points()}"
        for target, came in self.missed().items():
            text += f"; {target} is not met, it came to {came}"
        return text


def write_report(path: Path, report: Report) -> None:
    """Write a report as JSON, atomically."""
    content = msgspec.json.format(msgspec.json.encode(report)) + b"\n"
    write_whole(path, content)


def report_table(report: Report) -> Rows:
    """A table of the stages, the control and the bundles."""
    table = Rows(
        f"{report.model} for {len(report.task)} classes from {report.pictures} pictures, "
        f"evaluated on {report.test_pictures or 'none'}; latency of int8 bundles, one thread",
        ("", "weights", "MACs", "right", "latency", "model.pte", "zipped"),
    )
    for stage in report.stages:
        table.add(stage.name, *_costs(stage), _share(stage.accuracy), *_bundle(stage), "")
    if report.control is not None:
        control = report.control
        table.add("control: the same on generic pictures", *_costs(control), _share(control.accuracy), "", "", "")
    for name, stage, accuracy, packed in (
        ("big, int8 bundle", report.stages[0], report.big_bundle_accuracy, report.big_packed_bytes),
        ("small, int8 bundle", report.stages[-1], report.bundle_accuracy, report.packed_bytes),
    ):
        table.add(name, *_costs(stage), _share(accuracy), *_bundle(stage), f"{packed / 1e6:.2f} MB")
    return table


def _costs(stage: Stage) -> tuple[str, str]:
    return f"{stage.parameters / 1e6:.2f} M", f"{stage.macs / 1e6:.1f} M"


def _bundle(stage: Stage) -> tuple[str, str]:
    if stage.model_bytes is None or stage.latency_ms is None:
        return "", ""
    return f"{stage.latency_ms:.2f} ms", f"{stage.model_bytes / 1e6:.2f} MB"


def _ratio(big: float | None, small: float | None) -> float:
    return big / small if big and small else 1.0


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"
