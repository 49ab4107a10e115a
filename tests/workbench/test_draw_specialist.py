"""The drawing of a specialist."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from matplotlib.figure import Figure
from specialist_report import REPORT

from edge_sdk.workbench import draw_specialist
from edge_sdk.workbench.draw_specialist import draw_report


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
