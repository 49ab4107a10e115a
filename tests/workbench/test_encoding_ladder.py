"""How pictures should travel: from a bundle, a big model and photos to `policy.json`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tiny_network
from msgspec.structs import replace

from edge_sdk.errors import WorkbenchError
from edge_sdk.images.rendition import Rendition, Upload
from edge_sdk.model.bundle import InputSpec, open_bundle, write_bundle
from edge_sdk.model.little import LittleModel
from edge_sdk.model.policy import Policy
from edge_sdk.types import Image, Region
from edge_sdk.workbench.data import open_source
from edge_sdk.workbench.draw import draw_ladder
from edge_sdk.workbench.encoding_ladder import Ladder, Rule, measure_ladder, write_ladder
from edge_sdk.workbench.labelled import LabelledImage, Split
from edge_sdk.workbench.mapped_source import MappedSource
from edge_sdk.workbench.subjects import Subject, callable_subject

LABELS = tiny_network.LABELS
SPEC = InputSpec(64, 48, (0.5,) * 3, (0.5,) * 3)
USUAL = Upload(64, 95)


def stripes(label: str, seed: int) -> Image:
    """Plain, or fine stripes down or across, which only a large picture shows."""
    rng = np.random.default_rng(seed)
    image = rng.integers(90, 120, (48, 64, 3)).astype(np.uint8)
    down, across = np.indices((48, 64)) // 2 % 2
    bright = {"empty": 0 * down, "deer": across, "fox": down}[label]
    return np.asarray(image + 60 * bright[..., None], np.uint8)


class Seer:
    """Tells stripes from plain; counts what it is shown."""

    def __init__(self) -> None:
        self.shown = 0

    def __call__(self, images: Image) -> np.ndarray:
        self.shown += len(images)
        grey = images.astype(np.float32).mean(axis=3)
        across, down = (np.abs(np.diff(grey, axis=axis)).mean(axis=(1, 2)) for axis in (2, 1))
        return np.stack([np.full(len(images), 14.0), across, down], axis=1)

    def subject(self, name: str = "seer") -> Subject:
        return callable_subject(name, self, LABELS, SPEC, macs=5)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photos")
    for label in LABELS:
        (root / label).mkdir()
        for index in range(50):
            cv2.imwrite(str(root / label / f"{index}.png"), stripes(label, index))
    return root


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    policy = Policy(threshold=0.5, upload=USUAL, big_macs=7, calibration={"rule": "eps"})
    return tiny_network.write_tiny_bundle(tmp_path / "bundle", policy).path


def measured(bundle: Path, photos: Path, folder: Path, big: Subject | None = None, **options: Any) -> Ladder:
    rule = options.pop("rule", Rule(drop=0.1))
    given: dict[str, Any] = {"sides": (16, 64), "qualities": (60,), "every": True, **options}
    source = open_source(str(photos), Split.ALL)
    return measure_ladder(bundle, big or Seer().subject(), source, rule, folder=folder, **given)


def test_the_cheapest_encoding_that_keeps_the_detail_is_found_and_written(
    bundle: Path, photos: Path, tmp_path: Path
) -> None:
    found = measured(bundle, photos, tmp_path / "kept")
    assert set(found.uploads) == {USUAL, *(Upload(side, 60, kind) for side in (16, 64) for kind in ("jpeg", "webp"))}
    assert (found.frames, found.offloaded, found.big) == (150, 150, "seer")
    by_name = {upload.name: found.choice.evaluated[index] for index, upload in enumerate(found.uploads)}
    assert by_name["64@60"].accuracy == 1.0 == found.choice.original_accuracy
    assert by_name["16@60"].accuracy < 0.5 and by_name["16@60"].difference.high < 0
    safe = [name for name, one in by_name.items() if one.accuracy == 1.0]
    assert found.upload.name == min(safe, key=lambda name: by_name[name].mean_bytes)
    assert f"Send {found.upload.name}: " in found.sentence() and "(64@95)" in found.sentence()
    assert "with 95% confidence the cascade is at most 10.00 points below" in found.sentence()
    before = open_bundle(bundle)
    written = write_ladder(bundle, found)
    with LittleModel(bundle) as little:  # the golden picture's output is checked
        assert little.manifest == before.manifest
        assert little.bundle.policy == written
    assert written.upload == found.upload and written.ladder == found.renditions
    assert (written.threshold, written.big_macs, written.calibration["rule"]) == (0.5, 7, "eps")
    assert written.calibration["upload_promised_loss"] == 0.1
    assert written.ladder[-1].relative_gain == 1.0
    picture = tmp_path / "drawn" / "ladder.png"
    draw_ladder(picture, found, "stripes")
    assert picture.stat().st_size > 10_000


def with_region(picture: LabelledImage) -> Iterator[LabelledImage]:
    """The picture in the corner of a dark scene, where something moves; every fifth without a region."""
    scene = np.zeros((192, 256, 3), np.uint8)
    scene[:48, :64] = picture.image
    region = None if picture.name.endswith(("0.png", "5.png")) else Region(12, 9, 40, 30, 1.0)
    yield dataclasses.replace(picture, image=scene, region=region)


def test_regions_are_measured_as_they_travel_and_written_as_their_encoding(
    bundle: Path, photos: Path, tmp_path: Path
) -> None:
    """Whole scenes are four times as large as what surrounds the region, and lose its stripes sooner."""
    opened = open_bundle(bundle)
    source = MappedSource(open_source(str(photos), Split.ALL), with_region, "with regions")
    given: dict[str, Any] = {"sides": (16, 64), "qualities": (60,), "every": True, "near": True}
    with pytest.raises(WorkbenchError, match="looks at the frame, and 0 of 150"):
        measure_ladder(bundle, Seer().subject(), source, Rule(drop=0.1), folder=tmp_path / "a", **given)
    manifest = replace(opened.manifest, view="region")
    near = write_bundle(
        tmp_path / "near",
        model=opened.path / "model.pte",
        manifest=manifest,
        golden=tiny_network.picture(),
        policy=replace(opened.policy, send="region", ladder=(Rendition(USUAL, 900.0, 1.0),)),
    ).path
    found = measure_ladder(near, Seer().subject(), source, Rule(drop=0.1), folder=tmp_path / "b", **given)
    assert found.near and found.offloaded == 120 and found.frames == 150
    assert found.choice.original_accuracy > 0.95
    assert found.upload.max_side == 64 and found.upload != USUAL
    assert all(one.mean_bytes < 3_000 for one in found.choice.evaluated)
    assert "kB a region" in found.sentence()
    policy = write_ladder(near, found)
    assert policy.region_upload == found.upload
    assert (policy.upload, policy.ladder) == (USUAL, (Rendition(USUAL, 900.0, 1.0),))
    assert policy.calibration["region_ladder_offloaded"] == 120


def test_what_cannot_be_promised_leaves_the_encoding_as_it_is(bundle: Path, photos: Path, tmp_path: Path) -> None:
    found = measured(bundle, photos, tmp_path / "kept", rule=Rule(drop=0.001))
    assert found.choice.safe is None and found.upload == USUAL
    assert "cannot promise a loss of at most 0.10 points" in found.sentence()
    assert "Frames go on travelling as 64@95" in found.sentence()
    assert "upload_promised_loss" not in write_ladder(bundle, found).calibration


def test_what_has_been_run_is_not_run_again_and_another_model_is(bundle: Path, photos: Path, tmp_path: Path) -> None:
    first, second, other = Seer(), Seer(), Seer()
    one = measured(bundle, photos, tmp_path, first.subject())
    two = measured(bundle, photos, tmp_path, second.subject())
    timing = second.shown
    assert first.shown == timing + 6 * 150
    assert [each.accuracy for each in one.choice.evaluated] == [each.accuracy for each in two.choice.evaluated]
    measured(bundle, photos, tmp_path, other.subject("seer 2"))
    assert other.shown == first.shown


def test_a_run_that_was_interrupted_goes_on(
    bundle: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_sdk.workbench.folder_source._FILES_PER_PART", 40)
    whole, first, second = Seer(), Seer(), Seer()
    expected = measured(bundle, photos, tmp_path / "other", whole.subject())

    class Stop(Exception):
        pass

    calls: list[int] = []

    def stop(done: int, parts: int) -> None:
        calls.append(done)
        if calls.count(2) == 2:  # the second part, of the big model's run
            raise Stop

    with pytest.raises(Stop):
        measured(bundle, photos, tmp_path / "kept", first.subject(), on_part=stop)
    found = measured(bundle, photos, tmp_path / "kept", second.subject())
    timing = 33
    assert (first.shown - timing) + (second.shown - timing) == whole.shown - timing == 6 * 150
    assert [one.accuracy for one in found.choice.evaluated] == [one.accuracy for one in expected.choice.evaluated]


def test_only_what_the_little_model_would_offload_is_looked_at(photos: Path, tmp_path: Path) -> None:
    sharp = Policy(temperature=0.02, upload=USUAL)
    with LittleModel(tiny_network.write_tiny_bundle(tmp_path / "sharp", sharp)) as little:
        tops = sorted(little.predict(stripes(label, index)).confidence for label in LABELS for index in range(50))
    gap = 75 + int(np.diff(tops[75:130]).argmax())  # records are float16: the threshold keeps away from all
    policy = replace(sharp, threshold=(tops[gap] + tops[gap + 1]) / 2)
    bundle = tiny_network.write_tiny_bundle(tmp_path / "bundle", policy).path
    seer = Seer()
    found = measured(bundle, photos, tmp_path / "kept", seer.subject(), every=False)
    assert found.frames == 150 and found.offloaded == gap + 1
    assert seer.shown == 33 + 6 * found.offloaded
    never = tiny_network.write_tiny_bundle(tmp_path / "never", Policy(threshold=0.0)).path
    with pytest.raises(WorkbenchError, match=r"at least 25 offloaded pictures .* got 0 \(0 of 150 in all\); .*--all"):
        measured(never, photos, tmp_path / "kept", every=False)
