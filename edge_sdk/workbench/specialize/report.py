"""What a specialist costs, how good it is, and against what."""

from __future__ import annotations

from pathlib import Path

import msgspec
from rich.table import Table


class Stage(msgspec.Struct, frozen=True):
    """A network on the way.

    Attributes:
        name: of the stage.
        parameters: number of weights; of a sparse network those that are not 0.
        macs: multiply-accumulates per picture.
        accuracy: share of the test pictures that it names rightly; None without any.
    """

    name: str
    parameters: int
    macs: int
    accuracy: float | None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one specialisation; times and sizes are of int8 bundles in the device's runtime, taken in one run.

    Attributes:
        model: the big model's architecture.
        task: its classes.
        pictures: that were used of the task.
        test_pictures: that were judged on.
        targets: as they were asked for.
        stages: from the big model, restricted to the task, to the taught small one, in torch's numbers.
        control: the same compression on as many generic pictures; None where it was left out.
        bundle_accuracy: of the bundle on the test pictures.
        big_bundle_accuracy: of the big model's, restricted and exported likewise.
        model_bytes: of the bundle's `model.pte`.
        big_model_bytes: of the big model's.
        latency_ms: of one picture, one thread.
        big_latency_ms: of the big model's bundle.
        packed_bytes: of `model.pte` compressed by zlib: where zeros count.
        big_packed_bytes: the same of the big model's.
        dense: layers that were left whole, and why.
        widths: channels of each group that stayed.
        seed: of all choices.
        seconds: that it took.
        peak_memory_bytes: the most that the process held.
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
    model_bytes: int
    big_model_bytes: int
    latency_ms: float
    big_latency_ms: float
    packed_bytes: int
    big_packed_bytes: int
    dense: dict[str, str]
    widths: dict[str, int]
    seed: int
    seconds: float
    peak_memory_bytes: int

    @property
    def gain(self) -> float | None:
        """Specialization gain: accuracy above that of the control (TACO, arXiv 2303.14409, section 4)."""
        if self.control is None or self.control.accuracy is None or self.stages[-1].accuracy is None:
            return None
        return self.stages[-1].accuracy - self.control.accuracy

    def sentence(self) -> str:
        """The outcome in a line."""
        big, small = self.stages[0], self.stages[-1]
        text = (
            f"{big.parameters / small.parameters:.1f}x fewer parameters, {big.macs / small.macs:.1f}x fewer MACs, "
            f"{self.big_latency_ms / self.latency_ms:.1f}x faster, "
            f"{self.big_model_bytes / self.model_bytes:.1f}x smaller"
        )
        if big.accuracy is not None and self.bundle_accuracy is not None:
            text += f"; {100 * (self.bundle_accuracy - big.accuracy):+.1f} points against the big model on the task"
        if self.gain is not None:
            text += f"; specialization gain {100 * self.gain:+.1f} points"
        return text


def write_report(path: Path, report: Report) -> None:
    """As JSON, atomically."""
    fresh = path.with_name(f"{path.name}.partial")
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    fresh.replace(path)


def report_table(report: Report) -> Table:
    """The stages, the control and the bundles."""
    table = Table(
        title=f"{report.model} for {', '.join(report.task)}: {report.pictures} pictures, "
        f"judged on {report.test_pictures or 'none'}",
        title_justify="left",
    )
    for column in ("", "parameters", "MACs", "accuracy", "model.pte", "packed", "a picture, 1 thread"):
        table.add_column(column, justify="left" if not column else "right")
    rows = [*report.stages, *([] if report.control is None else [report.control])]
    for stage in rows:
        name = "control: the same on generic pictures" if stage is report.control else stage.name
        table.add_row(name, f"{stage.parameters:,}", f"{stage.macs / 1e6:.1f} M", _share(stage.accuracy), "", "", "")
    table.add_section()
    big, small = report.stages[0], report.stages[-1]
    bundles = (
        (
            "big",
            big,
            report.big_bundle_accuracy,
            report.big_model_bytes,
            report.big_packed_bytes,
            report.big_latency_ms,
        ),
        ("small", small, report.bundle_accuracy, report.model_bytes, report.packed_bytes, report.latency_ms),
    )
    for name, stage, accuracy, size, packed, latency in bundles:
        costs = (f"{stage.parameters:,}", f"{stage.macs / 1e6:.1f} M")
        sizes = (f"{size / 1e6:.2f} MB", f"{packed / 1e6:.2f} MB")
        table.add_row(f"{name}, int8 bundle", *costs, _share(accuracy), *sizes, f"{latency:.2f} ms")
    return table


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"
