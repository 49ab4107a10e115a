"""A detector in a bundle: candidates into regions of the picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tiny_detector import MACS, SPEC, program

from edge_sdk.errors import BundleError, ConfigError
from edge_sdk.model.bundle import Bundle, Task, open_bundle, write_bundle
from edge_sdk.model.bundle_detector import BundleDetector
from edge_sdk.model.default_runtime import default_runtime
from edge_sdk.model.inputs import InputSpec, prepare
from edge_sdk.model.little import LittleModel
from edge_sdk.model.wrap import wrap_network
from edge_sdk.testing.runtime import FakeRuntime, write_fake_bundle
from edge_sdk.types import Image


def scene(width: int, height: int, box: tuple[int, int, int, int]) -> Image:
    """A dark box on a bright picture."""
    image = np.full((height, width, 3), 220, np.uint8)
    x, y, across, down = box
    image[y : y + down, x : x + across] = 0
    return image


def dark_box(pixels: Image) -> list[float]:
    """One candidate: the dark part of the input."""
    dark = pixels.max(axis=2) < 110
    if not dark.any():
        return [0.0, 0.0, 0.0, 0.0, 0.0]
    rows, columns = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
    height, width = dark.shape
    return [columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height, 0.75]


def fake(
    path: Path, candidates: Sequence[float] | None = None, labels: tuple[str, ...] = ("animal",)
) -> BundleDetector:
    def run(pixels: Image) -> Sequence[float]:
        return dark_box(pixels) if candidates is None else candidates

    bundle = write_fake_bundle(path, labels, logits=run, size=(160, 120), macs=500, task=Task.DETECT)
    return BundleDetector(bundle, runtime=FakeRuntime(run))


def test_a_network_of_torch_finds_its_subject_in_the_devices_runtime(tmp_path: Path) -> None:
    bundle = wrap_network(
        tmp_path / "b", program(), runtime=default_runtime(), labels=["dark"], input=SPEC, macs=MACS, task="detect"
    )
    detector = BundleDetector(open_bundle(bundle.path))
    (found,) = detector.detect(scene(640, 480, (240, 160, 80, 80)))
    assert (found.x, found.y, found.width, found.height) == (240, 160, 80, 80)
    assert found.score == pytest.approx(1 / (1 + np.exp(-3)), abs=1e-3)
    assert detector.macs == MACS
    assert detector.detect(scene(640, 480, (0, 0, 0, 0))) == ()
    with pytest.raises(BundleError, match="expected the bundle of a classifier; its manifest says task 'detect'"):
        LittleModel(bundle)


@pytest.mark.parametrize("resize", ["stretch", "crop", "letterbox"])
@pytest.mark.parametrize("size", [(640, 480), (640, 200), (300, 700)])
@pytest.mark.parametrize("scaling", [1, 2])
def test_a_box_of_the_input_is_found_again_in_the_picture(
    tmp_path: Path, resize: str, size: tuple[int, int], scaling: int
) -> None:
    width, height = size
    box = (width // 2 - 40, height // 2 - 30, 70, 60)
    bundle = fake(tmp_path / "b").bundle
    spec = InputSpec(160, 120, (0.9,) * 3, (1.0,) * 3, resize, scaling)  # type: ignore[arg-type]
    manifest = msgspec.structs.replace(bundle.manifest, input=spec)
    golden = prepare(np.full((120, 160, 3), 200, np.uint8), spec)
    bundle = write_bundle(tmp_path / "c", model=b"fake", manifest=manifest, golden=golden)
    (found,) = BundleDetector(bundle, runtime=FakeRuntime(dark_box)).detect(scene(width, height, box))
    step = max(width / 160, height / 120) * 1.5 + 1  # a pixel of the input, and the soft edge of scaling
    edges = (found.x, found.y, found.x + found.width, found.y + found.height)
    expected = (box[0], box[1], box[0] + box[2], box[1] + box[3])
    assert max(abs(one - two) for one, two in zip(edges, expected, strict=True)) <= step


def test_candidates_that_are_unsure_doubled_empty_or_no_numbers_do_not_count(tmp_path: Path) -> None:
    rows = [
        [0.1, 0.1, 0.3, 0.3, 0.6, 0.1],
        [0.1, 0.1, 0.31, 0.3, 0.2, 0.9],  # the same subject, surer by its second label
        [0.5, 0.5, 0.7, 0.7, 0.29, 0.1],  # unsure
        [0.6, 0.6, 0.5, 0.7, 0.9, 0.9],  # turned round
        [0.8, 0.8, 1.4, 1.4, 0.5, 0.0],  # half outside
        [1.2, 0.2, 1.4, 0.4, 0.9, 0.0],  # outside
        [float("nan"), 0.2, 1.4, 0.4, 0.9, 0.0],
    ]
    numbers = [value for row in rows for value in row]
    golden = [0.0 if value != value else value for value in numbers]
    bundle = write_fake_bundle(
        tmp_path / "b", ("fox", "deer"), logits=lambda _: golden, size=(100, 100), task=Task.DETECT
    )
    runs = iter([golden, golden])  # what loading asks for; then the NaN comes
    detector = BundleDetector(bundle, runtime=FakeRuntime(lambda _: next(runs, numbers)))
    found = detector.detect(np.zeros((1000, 1000, 3), np.uint8))
    assert [(one.x, one.y, one.width, one.height) for one in found] == [(100, 100, 210, 200), (800, 800, 200, 200)]
    assert [one.score for one in found] == pytest.approx([0.9, 0.5])


def test_at_most_four_count_the_surest_first(tmp_path: Path) -> None:
    rows = [[n / 10, 0.0, (n + 1) / 10, 0.1, 0.4 + n / 20] for n in range(8)]
    found = fake(tmp_path / "b", [value for row in rows for value in row]).detect(np.zeros((50, 100, 3), np.uint8))
    assert [round(region.score, 2) for region in found] == [0.75, 0.7, 0.65, 0.6]


def test_what_is_no_detector_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="expected the bundle of a detector; it has task 'classify'"):
        BundleDetector("trailcam")
    bundle = fake(tmp_path / "b").bundle
    for bad in ({"least_score": 0.0}, {"least_score": 1.1}, {"overlap": -0.1}):
        with pytest.raises(ConfigError, match="least_score"):
            BundleDetector(bundle, runtime=FakeRuntime(dark_box), **bad)  # type: ignore[arg-type]
    with pytest.raises(BundleError, match=r"expected 5 outputs, as `golden.logits` has; got 10"):
        BundleDetector(bundle, runtime=FakeRuntime(lambda _: [0.0] * 10))
    with pytest.raises(BundleError, match=r"expected the output 4 within 0\.001 of"):
        BundleDetector(bundle, runtime=FakeRuntime(lambda _: [0, 0, 0, 0, 0.5]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"golden": {"image": "golden.png", "logits": [0.0] * 6, "tolerance": 1.0}}, "expected 5 numbers for each"),
        ({"labels": []}, "expected one or more `labels`"),
        ({"task": "segment"}, "segment"),
    ],
)
def test_a_manifest_that_does_not_fit_its_task_is_explained(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    bundle: Bundle = fake(tmp_path / "b").bundle
    file = bundle.path / "manifest.json"
    file.write_bytes(msgspec.json.encode(msgspec.json.decode(file.read_bytes()) | change))
    with pytest.raises(BundleError, match=message):
        open_bundle(bundle.path)
