"""MegaDetector's batch results."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from format_parts import frame_id, read, said

from edge_sdk.errors import StorageError
from edge_sdk.formats.deployment import Deployment
from edge_sdk.formats.megadetector import write_megadetector
from edge_sdk.formats.sighting import Sighting
from edge_sdk.store.store import Store

NOWHERE = Deployment()


def written(path: Path, state: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The document, and its images by file."""
    write_megadetector(path, read(state), NOWHERE)
    document = json.loads(path.read_text())
    return document, {image["file"]: image for image in document["images"]}


def test_photos_of_a_live_camera(state: Path, tmp_path: Path) -> None:
    document, images = written(tmp_path / "md.json", state)
    assert document["info"]["format_version"] == "1.6"
    assert "trailcam 2 (device), vit 7 (cloud)" in document["info"]["classifier"]
    assert document["detection_categories"] == {"1": "animal", "2": "person", "3": "vehicle", "4": "other"}
    names = document["classification_categories"]
    (fox,) = images[f"media/{frame_id(1)}.jpg"]["detections"]
    assert (fox["category"], fox["conf"], fox["bbox"]) == ("1", 0.75, [0.0, 0.0, 1.0, 1.0])
    assert [(names[number], chance) for number, chance in fox["classifications"]] == [("fox", 0.75), ("deer", 0.25)]
    assert images[f"media/{frame_id(2)}.jpg"]["detections"] == []  # it is empty
    assert images[f"media/{frame_id(4)}.jpg"]["detections"][0]["conf"] == 0.9  # the cloud's
    assert images["/card/DCIM/0.JPG"]["detections"][0]["category"] == "2"
    assert images["/card/DCIM/0.JPG"]["datetime"] == "2026-06-01T12:50:00+02:00"


def test_a_frame_without_a_label_is_a_failure(state: Path, tmp_path: Path) -> None:
    _, images = written(tmp_path / "md.json", state)
    bad = images["/card/DCIM/bad.jpg"]
    assert (bad["failure"], bad["detections"]) == ("compute spent", None)


def test_a_video_is_one_entry_with_the_best_frame_of_each_label(state: Path, tmp_path: Path) -> None:
    _, images = written(tmp_path / "md.json", state)
    video = images["/card/DCIM/v.MP4"]
    assert (video["frame_rate"], video["frames_processed"]) == (4.0, [0, 1, 2, 3, 5])
    (truck,) = video["detections"]
    assert (truck["category"], truck["conf"], truck["frame_number"]) == ("3", 0.7, 2)


def test_a_video_without_labels_or_of_one_frame(tmp_path: Path) -> None:
    with Store(tmp_path / "state") as store:
        store.exit(said(1, None, source="none.mp4"))
        store.exit(said(2, "empty", source="one.mp4"))
    _, images = written(tmp_path / "md.json", tmp_path / "state")
    none, one = images["none.mp4"], images["one.mp4"]
    assert (none["detections"], none["frames_processed"], none["frame_rate"] > 0) == (None, [], True)
    assert (one["detections"], one["frames_processed"], one["frame_rate"] > 0) == ([], [0], True)


def test_a_photo_that_was_looked_at_twice_has_the_latest_word(tmp_path: Path) -> None:
    with Store(tmp_path / "state") as store:
        for number, label in enumerate(("fox", "deer")):
            store.exit(said(number, label, source="a.jpg"))
        store.exit(said(2, "fox", source="b.jpg"))
    document, images = written(tmp_path / "md.json", tmp_path / "state")
    assert len(document["images"]) == 2
    assert images["a.jpg"]["frame_id"] == frame_id(1)


def test_a_region_is_the_detections_box_in_the_picture_that_is_exported(state: Path, tmp_path: Path) -> None:
    path = tmp_path / "md.json"
    for copies, box in ((None, [0.5, 0.5, 0.1, 0.1]), (tmp_path, [0.25, 0.25, 0.5, 0.5])):
        write_megadetector(path, read(state, copies=copies), NOWHERE)
        images = {one["frame_id"]: one for one in json.loads(path.read_text())["images"]}
        (deer,), (person,) = (images[frame_id(number)]["detections"] for number in (4, 11))
        assert (deer["bbox"], deer["conf"]) == (box, 0.9)
        assert person["bbox"] == pytest.approx([600 / 640, 440 / 480, 40 / 640, 40 / 480], abs=1e-6)


def test_an_export_that_breaks_off_leaves_the_old_file(state: Path, tmp_path: Path) -> None:
    path = tmp_path / "md.json"
    path.write_text("old")

    def broken() -> Iterator[Sighting]:
        yield next(read(state))
        raise StorageError("the card was pulled out")

    with pytest.raises(StorageError):
        write_megadetector(path, broken(), NOWHERE)
    assert path.read_text() == "old"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["md.json"]


def test_no_frames_are_a_file_too(tmp_path: Path) -> None:
    none: tuple[Sighting, ...] = ()
    write_megadetector(tmp_path / "md.json", none, NOWHERE)
    assert json.loads((tmp_path / "md.json").read_text())["images"] == []
