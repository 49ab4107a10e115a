"""Regions of photos in bursts: those that the device finds."""

from __future__ import annotations

from pathlib import Path

import burst_parts
import numpy as np
import pytest

from edge_sdk.camera.folder import FolderCamera
from edge_sdk.camera.gate import MotionGate
from edge_sdk.model.little import LittleModel
from edge_sdk.types import Region, View
from edge_sdk.workbench.data import open_source
from edge_sdk.workbench.labelled import LabelledImage, Split, read_all
from edge_sdk.workbench.looks import looks_at, photo_regions
from edge_sdk.workbench.subjects import bundle_subject


def on_the_device(folder: Path) -> dict[str, Region | None]:
    """The region of each photo of a card, by the file's name, as the loop of the device finds it."""
    gate, found = MotionGate(), dict[str, Region | None]()
    with FolderCamera(folder) as camera:
        for frame in camera:
            assert gate.admits(frame) and gate.last is not None
            found[Path(frame.source).name] = gate.last.regions[0] if gate.last.regions else None
    return found


def in_the_workbench(address: Path) -> dict[str, LabelledImage]:
    return {Path(one.source).name: one for one in read_all(photo_regions(open_source(str(address), Split.ALL)))}


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return burst_parts.write_card(tmp_path_factory.mktemp("card"), burst_parts.shots())


def test_all_crops_of_a_card_are_those_of_the_device(card: Path) -> None:
    wanted, found = on_the_device(card.parent), in_the_workbench(card)
    assert {name: one.region for name, one in found.items()} == wanted
    assert sum(region is not None for region in wanted.values()) >= 12
    with LittleModel("trailcam") as model:
        subject, spec = bundle_subject(model), model.manifest.input
        for view in View:
            for one in found.values():
                there = model.looks(one.image, one.region, view)
                seen = [part for part, _ in subject.looking_at(view).looks(one.image, one.region)]
                if len(there) < len(seen):  # the surroundings are all of the picture: the device looks once
                    seen = seen[1:]
                learnt = [part.image for part in looks_at(one, view, spec.width, spec.height)]
                assert all(map(np.array_equal, there, seen)) and len(there) == len(seen)
                assert all(map(np.array_equal, there, learnt)) and len(there) == len(learnt)


def test_photos_sorted_into_classes_have_the_regions_of_the_card(card: Path, tmp_path: Path) -> None:
    sorted_anew = burst_parts.write_classes(tmp_path, burst_parts.shots())
    found = in_the_workbench(sorted_anew)
    assert {name: one.region for name, one in found.items()} == on_the_device(card.parent)
    assert {one.label for one in found.values() if one.region is not None} >= {"fox"}


def test_a_burst_with_photos_in_two_classes_is_taken_in_the_cameras_order(tmp_path: Path) -> None:
    """Within a second the camera's numbers tell, 9 before 10, and not the class folders."""
    mixed = [
        burst_parts.Shot(one.number, one.taken, "empty" if one.number % 3 else one.label, one.image)
        for one in burst_parts.shots()
    ]
    card = burst_parts.write_card(tmp_path / "card", mixed)
    found = in_the_workbench(burst_parts.write_classes(tmp_path / "classes", mixed))
    assert {name: one.region for name, one in found.items()} == on_the_device(card.parent)


def test_without_a_place_or_a_time_there_is_no_region(tmp_path: Path) -> None:
    for shot in burst_parts.shots(6):
        burst_parts.write_photo(tmp_path / "no place" / shot.label / shot.file, shot.image, shot.taken)
        burst_parts.write_photo(tmp_path / "no time" / shot.label / "ford" / shot.file, shot.image, None)
        name = f"CAM1_{shot.taken:%Y%m%d_%H%M%S}_{shot.number}.JPG"
        burst_parts.write_photo(tmp_path / "named" / shot.label / "ford" / name, shot.image, None)
    regions = {
        name: sum(one.region is not None for one in in_the_workbench(tmp_path / name).values())
        for name in ("no place", "no time", "named")
    }
    assert regions["no place"] == regions["no time"] == 0 and regions["named"] > 0
