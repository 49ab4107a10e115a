"""Regions from MegaDetector's results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import burst_parts
import numpy as np
import pytest

from edge_sdk.errors import WorkbenchError
from edge_sdk.types import Region
from edge_sdk.workbench.data import open_source
from edge_sdk.workbench.labelled import Split, read_all
from edge_sdk.workbench.looks import Finding, photo_regions

PHOTO = np.zeros((200, 400, 3), np.uint8)


def results(path: Path, **images: Any) -> Path:
    """Results in MegaDetector's batch format 1.6: for each file its detections, or None where it failed."""
    found = [
        {"file": file, "detections": detections}
        if detections is not None
        else {"file": file, "detections": None, "failure": "x"}
        for file, detections in images.items()
    ]
    text = {"info": {"format_version": "1.6"}, "detection_categories": {"1": "animal"}, "images": found}
    path.write_text(json.dumps(text))
    return path


def box(conf: float, *bbox: float) -> dict[str, Any]:
    return {"category": "1", "conf": conf, "bbox": list(bbox)}


def regions(folder: Path, boxes: Path) -> dict[str, Region | None]:
    source = photo_regions(open_source(str(folder), Split.ALL), Finding(boxes=boxes))
    return {one.name: one.region for one in read_all(source)}


def test_the_surest_box_that_counts_is_the_region(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("fox/a/1.jpg", "fox/a/2.jpg", "empty/a/3.jpg", "empty/a/4.jpg", "empty/b/5.jpg", "empty/b/6.jpg"):
        burst_parts.write_photo(tmp_path / "photos" / name, PHOTO, None)
    file = results(
        tmp_path / "md.json",
        **{
            "a/1.jpg": [box(0.3, 0, 0, 0.1, 0.1), box(0.9, 0.25, 0.5, 0.25, 0.25)],
            "a\\2.jpg": [box(0.5, 0.9, 0.9, 0.2, 0.2)],
            "a/3.jpg": [box(0.19, 0, 0, 1, 1)],
            "a/4.jpg": [],
            "photos/empty/b/5.jpg": None,
        },
    )
    assert regions(tmp_path / "photos", file) == {
        "fox/a/1.jpg": Region(100, 100, 100, 50, 0.9),
        "fox/a/2.jpg": Region(360, 180, 40, 20, 0.5),
        "empty/a/3.jpg": None,
        "empty/a/4.jpg": None,
        "empty/b/5.jpg": None,
        "empty/b/6.jpg": None,
    }
    assert "of 6 photos, 1 are not in it" in caplog.text and "on 1 the detector failed" in caplog.text


def test_a_name_that_two_photos_have_says_nothing(tmp_path: Path) -> None:
    for name in ("fox/a/1.jpg", "fox/b/1.jpg", "fox/b/2.jpg"):
        burst_parts.write_photo(tmp_path / "photos" / name, PHOTO, None)
    whole = [box(0.9, 0, 0, 0.5, 0.5)]
    file = results(tmp_path / "md.json", **{"1.jpg": whole, "2.jpg": whole})
    found = regions(tmp_path / "photos", file)
    assert {name: region is not None for name, region in found.items()} == {
        "fox/a/1.jpg": False,
        "fox/b/1.jpg": False,
        "fox/b/2.jpg": True,
    }


def test_what_is_no_such_file_or_of_other_photos_is_refused(tmp_path: Path) -> None:
    burst_parts.write_photo(tmp_path / "photos" / "fox" / "1.jpg", PHOTO, None)
    other = results(tmp_path / "other.json", **{"elsewhere/9.jpg": []})
    with pytest.raises(
        WorkbenchError, match=r"knows none of them by its path: it has elsewhere/9\.jpg, they are as fox/1"
    ):
        regions(tmp_path / "photos", other)
    for text in ("{", '{"images": {}}', '{"images": [{"file": "fox/1.jpg", "detections": [{"conf": "high"}]}]}'):
        (tmp_path / "broken.json").write_text(text)
        with pytest.raises(WorkbenchError, match="expected MegaDetector's results"):
            regions(tmp_path / "photos", tmp_path / "broken.json")
