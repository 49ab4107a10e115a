"""Drawings are written whole, or the reason is told."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.cascade.companion import Choice, Ranked
from edge_sdk.workbench.cascade.paired import Difference
from edge_sdk.workbench.draw import draw_companions, honest_percentages

EQUAL = Difference(0.0, -0.01, 0.01, 1.0)
ONE = Ranked("net", Choice(0.7, 0.6, -0.5), 0.8, 0.6, 0.9, 0.9, EQUAL, 4e8, 0.4, 1.0, 2.0, 3e3, 100_000)


def test_companions_are_drawn(tmp_path: Path) -> None:
    draw_companions(tmp_path / "new" / "a.png", [ONE], "title")
    assert (tmp_path / "new" / "a.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.png"]


def test_what_cannot_be_drawn_or_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match="expected at least one companion"):
        draw_companions(tmp_path / "a.png", [], "title")
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkbenchError, match="cannot write"):
        draw_companions(tmp_path / "file" / "a.png", [ONE], "title")


@pytest.mark.parametrize(("low", "high", "start"), [(88.0, 90.0, 70.0), (40.0, 95.0, 40.0), (2.0, 9.0, 0.0)])
def test_an_axis_of_percentages_makes_little_of_small_differences(low: float, high: float, start: float) -> None:
    axis = Figure().subplots()
    axis.set_ylim(low, high)
    honest_percentages(axis)
    assert axis.get_ylim() == (start, high)
    assert axis.get_ylabel() == ("accuracy, %" if not start else f"accuracy, % (the axis starts at {start:.0f})")
