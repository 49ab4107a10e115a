"""Labelled pictures without their pixels."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.data import open_source
from edge_sdk.workbench.folder_source import FolderSource
from edge_sdk.workbench.labelled import Split
from edge_sdk.workbench.records_csv import read_csv
from edge_sdk.workbench.truths import truths_in


def test_the_pictures_of_a_folder_are_known_by_their_names(tmp_path: Path) -> None:
    for name in ("fox/1.jpg", "bird/deep/2.jpg", "loose.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"not read")
    known = truths_in(FolderSource(tmp_path, Split.ALL), "photos")
    assert (known.labels, known.ids.tolist()) == (("bird", "fox"), ["bird/deep/2.jpg", "fox/1.jpg"])
    assert known.truths.tolist() == [0, 1] and len(known) == 2
    path = tmp_path / "theirs.csv"
    path.write_text("id,predicted,probability\nfox/1.jpg,fox,1\nbird/deep/2.jpg,fox,0.5\n")
    records = read_csv(path, known)
    assert records.accuracy == 0.5 and records.sources is not None


def test_a_folder_without_classes_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "loose.jpg").write_bytes(b"not read")
    with pytest.raises(WorkbenchError, match="expected labelled pictures"):
        truths_in(FolderSource(tmp_path, Split.ALL), "photos")


def test_the_simulated_camera_has_names_and_lights() -> None:
    known = truths_in(open_source("simulated://trailcam?seed=0&frames=8", Split.CALIBRATION), "camera")
    assert len(known) == len(set(known.ids.tolist())) and known.groups is not None
    assert set(known.truths.tolist()) <= set(range(len(known.labels)))
