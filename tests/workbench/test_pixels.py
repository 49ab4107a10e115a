"""Prepared pictures on disk."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.bundle import InputSpec
from edge_sdk.workbench.data import open_source
from edge_sdk.workbench.labelled import Split
from edge_sdk.workbench.pixels import load_pixels

SPEC = InputSpec(32, 24, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for label, grey in (("cat", 60), ("dog", 180)):
        folder = tmp_path / "photos" / label / "deeper"
        folder.mkdir(parents=True)
        for index in range(30):
            cv2.imwrite(str(folder / f"{index}.png"), np.full((48, 64, 3), grey + index, np.uint8))
    return tmp_path / "photos"


def test_pixels_are_made_once_and_go_on_after_an_interruption(photos: Path, tmp_path: Path) -> None:
    source = open_source(str(photos), Split.ALL)
    first = load_pixels(source, SPEC, folder=tmp_path / "cache")
    assert len(first) == 60 and first.image(0).shape == (24, 32, 3)
    told: list[tuple[int, int]] = []
    again = load_pixels(source, SPEC, folder=tmp_path / "cache", on_part=lambda *now: told.append(now))
    assert told == []
    assert all(np.array_equal(first.image(index), again.image(index)) for index in range(60))
    for label, grey in (("cat", 60), ("dog", 180)):
        rows = np.flatnonzero(first.truths == first.labels.index(label))
        assert all(grey <= first.image(int(row)).mean() < grey + 30 for row in rows)


def test_labels_may_be_given_in_another_order_but_not_left_out(photos: Path, tmp_path: Path) -> None:
    source = open_source(str(photos), Split.ALL)
    pixels = load_pixels(source, SPEC, labels=("dog", "bird", "cat"), folder=tmp_path)
    assert set(pixels.truths) == {0, 2}
    with pytest.raises(WorkbenchError, match="also has dog"):
        load_pixels(source, SPEC, labels=("cat", "bird"), folder=tmp_path)
