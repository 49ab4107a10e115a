"""COCO Camera Traps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from format_parts import frame_id, read

from edge_sdk.formats.coco import write_coco
from edge_sdk.formats.deployment import Deployment


def written(folder: Path, state: Path, **settings: Any) -> dict[str, Any]:
    path = folder / "coco.json"
    write_coco(path, read(state, **settings), Deployment(place="hide"))
    document: dict[str, Any] = json.loads(path.read_text())
    assert [one.name for one in folder.iterdir() if one.name != "media"] == ["coco.json"]
    return document


def test_images_categories_and_annotations(state: Path, tmp_path: Path) -> None:
    document = written(tmp_path, state, copies=tmp_path)
    names = {one["id"]: one["name"] for one in document["categories"]}
    assert names[0] == "empty"
    images = {one["id"]: one for one in document["images"]}
    said = {one["image_id"]: one for one in document["annotations"]}
    assert len(images) == len(document["images"]) == len(said) + 2  # two have no label
    fox = images[frame_id(1)]
    assert (fox["file_name"], fox["width"], fox["height"], fox["location"], fox["truth"]) == (
        f"media/{frame_id(1)}.jpg",
        64,
        48,
        "hide",
        "fox",
    )
    assert names[said[frame_id(1)]["category_id"]] == "fox"
    assert said[frame_id(2)]["category_id"] == 0
    assert (said[frame_id(4)]["score"], said[frame_id(4)]["final"]) == (0.9, True)
    assert not said[frame_id(3)]["final"]
    assert "bbox" not in said[frame_id(1)] and "bbox_relative" not in said[frame_id(1)]


def test_events_are_sequences(state: Path, tmp_path: Path) -> None:
    images = {one["id"]: one for one in written(tmp_path, state)["images"]}
    burst = [images[frame_id(10 + number)] for number in range(3)]
    assert [(one["seq_id"], one["frame_num"], one["seq_num_frames"]) for one in burst] == [
        (frame_id(10), number, 3) for number in range(3)
    ]


def test_a_region_is_a_box_in_pixels_of_the_picture(state: Path, tmp_path: Path) -> None:
    for copies, box, size in ((None, [320, 240, 64, 48], (640, 480)), (tmp_path, [16, 12, 32, 24], (64, 48))):
        path = tmp_path / "coco.json"
        write_coco(path, read(state, copies=copies), Deployment())
        found = json.loads(path.read_text())
        boxes = {one["image_id"]: one["bbox"] for one in found["annotations"] if "bbox" in one}
        assert boxes == {frame_id(4): box, frame_id(11): [600, 440, 40, 40]}
        sizes = {one["id"]: (one["width"], one["height"]) for one in found["images"] if "width" in one}
        assert (sizes[frame_id(4)], sizes[frame_id(11)]) == (size, (640, 480))
