"""A detector where bursts give no region."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace
from pathlib import Path

import burst_parts
import cv2
import numpy as np
import pytest
from tiny_detector import MACS, SPEC, program

from edge_sdk import EdgeClassifier
from edge_sdk.errors import BundleError, WorkbenchError
from edge_sdk.model.bundle import open_bundle
from edge_sdk.model.default_runtime import default_runtime
from edge_sdk.model.wrap import wrap_network
from edge_sdk.types import Image, Region
from edge_sdk.workbench.data import open_source
from edge_sdk.workbench.labelled import LabelledImage, Split, read_all
from edge_sdk.workbench.looks import Finding, photo_regions
from edge_sdk.workbench.region_finder import DetectedRegions

INSIDE = Region(10, 20, 30, 40, 0.9)


@dataclass
class Known:
    """A finder, or detector, that gives what it was told."""

    found: tuple[Region, ...] = ()
    key: str = "known"
    macs: int = 0
    asked: int = 0

    def of(self, picture: LabelledImage) -> Region | None:
        return next(iter(self.found), None)

    def detect(self, image: Image) -> tuple[Region, ...]:
        self.asked += 1
        return self.found


def test_a_detector_is_asked_only_where_nothing_is_known_and_its_boxes_are_cut_to_the_picture() -> None:
    picture = LabelledImage(burst_parts.shots(1, 1)[0].image, "fox", name="a")
    detector = Known((Region(400, 0, 9, 9, 0.9), Region(-10, 20, 40, 40, 0.8), INSIDE))
    assert DetectedRegions(detector, Known((INSIDE,))).of(picture) == INSIDE and detector.asked == 0
    assert DetectedRegions(detector, Known()).of(picture) == Region(0, 20, 30, 40, 0.8)
    assert DetectedRegions(Known(), Known()).of(picture) is None


def test_single_photos_have_regions_by_a_detector_alone(tmp_path: Path) -> None:
    for shot in burst_parts.shots(2, 1):
        burst_parts.write_photo(tmp_path / shot.label / shot.file, shot.image, None)
    source = open_source(str(tmp_path), Split.ALL)
    plain = photo_regions(source)
    found = photo_regions(source, Finding(detector=Known((INSIDE,))))
    assert [one.region for one in read_all(plain)] == [None, None]
    assert [one.region for one in read_all(found)] == [INSIDE, INSIDE]
    assert len({source.key, plain.key, found.key}) == 3
    assert [one.region for one in read_all(pickle.loads(pickle.dumps(found)))] == [INSIDE, INSIDE]


def test_what_is_no_detector_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="expected the bundle of a detector"):
        DetectedRegions(open_bundle("trailcam").path, Known())
    camera = open_source("simulated://trailcam?frames=1", Split.TEST)
    with pytest.raises(WorkbenchError, match="expected photos, for a detector or boxes"):
        photo_regions(camera, Finding(detector=Known()))
    with pytest.raises(WorkbenchError, match="expected a detector or boxes"):
        replace(Finding(detector=Known()), boxes=tmp_path)


def test_a_bundles_detector_finds_in_the_workbench_what_it_finds_on_the_device(tmp_path: Path) -> None:
    bundle = wrap_network(
        tmp_path / "detector",
        program(),
        runtime=default_runtime(),
        labels=["dark"],
        input=SPEC,
        macs=MACS,
        task="detect",
    )
    photos = []
    for number, left in enumerate((80, 240, 400)):
        image = np.full((480, 640, 3), 220, np.uint8)
        image[160:240, left : left + 80] = 0
        photos.append(tmp_path / "photos" / "fox" / f"{number}.png")
        photos[-1].parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(photos[-1]), image)
    source = photo_regions(open_source(str(tmp_path / "photos"), Split.ALL), Finding(detector=bundle.path))
    regions = {one.source: one.region for one in read_all(pickle.loads(pickle.dumps(source)))}
    with EdgeClassifier(detector=bundle.path, view="region", threshold=0, state_dir=tmp_path / "state") as edge:
        for photo in photos:
            edge.classify(photo)
        there = {one.answer.source: one.region for one in edge.journal.query()}
    found = {name: region and replace(region, score=round(region.score, 3)) for name, region in regions.items()}
    assert found == there and all(region is not None for region in found.values())  # the journal keeps three digits
