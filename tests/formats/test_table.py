"""One CSV with a line for each frame."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from format_parts import frame_id, read
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.formats.deployment import Deployment
from edge_sdk.formats.media import Medium
from edge_sdk.formats.sighting import Sighting
from edge_sdk.formats.table import COLUMNS, write_table
from edge_sdk.terminal.cell import guarded


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def frame(state: Path, tmp_path_factory: pytest.TempPathFactory) -> Sighting:
    """A frame whose camera names a folder to write into."""
    medium = Medium("x.jpg", "image/jpeg", str(tmp_path_factory.mktemp("table")))
    return replace(next(read(state)), medium=medium)


def test_a_line_for_each_frame(state: Path, tmp_path: Path) -> None:
    path = tmp_path / "frames.csv"
    write_table(path, read(state), Deployment("d1", "hide"))
    found = {row["frame_id"]: row for row in rows(path)}
    assert list(found[frame_id(1)]) == list(COLUMNS)
    fox, deer, waits = (found[frame_id(number)] for number in (1, 4, 3))
    assert (fox["captured_at"], fox["deployment"], fox["place"]) == ("2026-06-01T12:00:00.000+02:00", "d1", "hide")
    assert (fox["label"], fox["kind"], fox["confidence"], fox["truth"]) == ("fox", "animal", "0.7500", "fox")
    assert (deer["device_label"], deer["cloud_label"], deer["cloud_confidence"]) == ("fox", "deer", "0.9000")
    assert (waits["state"], waits["final"], waits["kind"]) == ("waiting", "no", "unclassified")
    assert fox["gain"] == "-0.250000"
    assert fox["box_left"] == ""


def test_text_of_others_is_no_formula(state: Path, tmp_path: Path) -> None:
    path = tmp_path / "frames.csv"
    write_table(path, read(state), Deployment(place="@home"))
    row = next(row for row in rows(path) if row["frame_id"] == frame_id(40))
    assert (row["label"], row["note"], row["place"]) == ("'=shed|1", "'@note", "'@home")
    assert row["source"] == '\'=cmd, "a".jpg'
    assert next(row for row in rows(path) if row["frame_id"] == frame_id(41))["file"] == "/card/a..b\n.jpg"


def test_a_region_has_four_columns(state: Path, tmp_path: Path) -> None:
    path = tmp_path / "frames.csv"
    write_table(path, read(state), Deployment())
    deer = next(row for row in rows(path) if row["frame_id"] == frame_id(4))
    assert [deer[f"box_{name}"] for name in ("left", "top", "width", "height")] == [
        "0.5000",
        "0.5000",
        "0.1000",
        "0.1000",
    ]


@given(label=st.text(min_size=1), note=st.text())
def test_any_text_comes_back(frame: Sighting, label: str, note: str) -> None:
    path = Path(frame.medium.camera) / "any.csv"
    write_table(path, [replace(frame, label=label, entry=replace(frame.entry, note=note))], Deployment())
    (row,) = rows(path)
    assert (row["label"], row["note"]) == (guarded(label), guarded(note))
