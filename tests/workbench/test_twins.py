"""Pictures of a task that are there twice."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.workbench.data import open_source
from edge_sdk.workbench.folder_source import split_of
from edge_sdk.workbench.labelled import Split, read_all
from edge_sdk.workbench.twins import find_twins, places_in, places_of, to_leave_out, without_twins


def name_in(split: Split, label: str, start: int = 0) -> str:
    """The first name of that class that the hash puts into the split."""
    return next(f"{n}.png" for n in range(start, 10_000) if split_of(f"{label}/{n}.png") is split)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Thirty photos of two classes; one of them also in the test split, one also under the other class."""
    root = tmp_path / "photos"
    for label, first in (("cat", 0), ("dog", 100)):
        (root / label).mkdir(parents=True)
        for index in range(15):
            image = np.random.default_rng(first + index).integers(0, 256, (6, 8, 3), np.uint8)
            large = cv2.resize(image, (64, 48), interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(root / label / f"{name_in(Split.TRAIN, label, 20 * index)}"), large)
    return root


def test_twins_across_splits_and_classes_are_found_and_others_are_not(photos: Path, tmp_path: Path) -> None:
    cats = sorted((photos / "cat").iterdir())
    dogs = sorted((photos / "dog").iterdir())
    shutil.copy(cats[0], photos / "cat" / name_in(Split.TEST, "cat"))
    shutil.copy(cats[1], photos / "dog" / name_in(Split.TRAIN, "dog", 5000))
    shutil.copy(dogs[2], photos / "dog" / name_in(Split.TRAIN, "dog", 6000))  # the same split and class: no harm
    (photos / "dog" / name_in(Split.VAL, "dog")).write_bytes(b"no picture")
    places = places_in(photos)
    told: list[tuple[int, int]] = []
    twins = find_twins(places, cache=tmp_path / "cache", on_done=lambda *now: told.append(now))
    assert told[-1] == (len(places), len(places))
    assert sorted((one.across_parts, one.across_labels, one.same) for one in twins) == [
        (False, True, True),
        (True, False, True),
    ]
    left_out = to_leave_out(twins)
    assert left_out == {cats[0], cats[1], photos / "dog" / name_in(Split.TRAIN, "dog", 5000)}
    told.clear()
    assert find_twins(places, cache=tmp_path / "cache", on_done=lambda *now: told.append(now)) == twins and not told
    read = {Path(one.source) for one in read_all(open_source(str(photos), Split.TRAIN, left_out))}
    assert read == {*cats[2:], *dogs, photos / "dog" / name_in(Split.TRAIN, "dog", 6000)}


def test_validation_pictures_that_lie_elsewhere_count_and_a_simulated_camera_has_no_twins(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_sdk.workbench.twins.user_cache_path", lambda *_, **__: tmp_path / "cache")
    assert without_twins(str(photos)) == frozenset()
    val = tmp_path / "val" / "cat"
    val.mkdir(parents=True)
    (cat,) = sorted((photos / "cat").iterdir())[:1]
    shutil.copy(cat, val / "one.png")
    assert without_twins(str(photos), str(tmp_path / "val")) == {cat}
    assert places_of("simulated://trailcam?seed=0&frames=10") == []
