"""The drawing of a specialist."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from matplotlib.figure import Figure

from edge_sdk.workbench import draw_specialist
from edge_sdk.workbench.cascade.paired import Difference
from edge_sdk.workbench.draw_specialist import draw_report
from edge_sdk.workbench.specialize.report import Report, Stage

BIG = Stage("big, restricted to the task", 4_000_000, 400_000_000, 0.95, 4_000_000, 8.0)
SMALL = Stage("distillation", 1_000_000, 100_000_000, 0.94, 1_000_000, 2.0)
REPORT = Report(
    model="resnet18",
    task=("deer", "fox"),
    pictures=20,
    test_pictures=100,
    targets=(),
    stages=(BIG, SMALL),
    control=Stage("control", 1_000_000, 100_000_000, 0.9),
    bundle_accuracy=0.93,
    big_bundle_accuracy=0.95,
    packed_bytes=1,
    big_packed_bytes=1,
    dense={},
    widths={},
    seed=0,
    seconds=1.0,
    peak_memory_bytes=1,
    against_big=Difference(-0.02, -0.05, 0.01, 0.3),
)


def test_accuracy_starts_at_zero_and_has_its_interval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(draw_specialist, "save_figure", lambda figure, path: drawn.append(figure))
    draw_report(tmp_path / "a.png", REPORT, "title")
    along, shrunk = drawn[0].axes
    assert along.get_ylim()[0] == shrunk.get_xlim()[0] == 0
    labels = [text.get_text() for text in along.get_legend().get_texts()]  # type: ignore[union-attr]
    assert "95% interval of the difference to the big model" in labels


def test_a_report_without_test_pictures_is_drawn_too(tmp_path: Path) -> None:
    stages = tuple(msgspec.structs.replace(stage, accuracy=None) for stage in REPORT.stages)
    changes = {"stages": stages, "control": None, "bundle_accuracy": None, "against_big": None}
    draw_report(tmp_path / "a.png", msgspec.structs.replace(REPORT, **changes), "title")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
