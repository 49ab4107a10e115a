"""What is blurred, and when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from edge_sdk.errors import ConfigError
from edge_sdk.pipeline.blur import Blur
from edge_sdk.types import Frame, Image, Prediction, Region

REGION = Region(40, 40, 40, 40, 1.0)


def frame(*regions: Region) -> Frame:
    return Frame(np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8), regions=regions)


def said(person: float) -> Prediction:
    return Prediction(("fox", "person", "child"), np.array([1 - person, person / 2, person / 2], np.float32))


def changed(before: Frame, after: Frame) -> tuple[int, int, int, int]:
    """The box of the pixels that differ: left, top, right, bottom."""
    rows, columns = np.nonzero((before.image != after.image).any(axis=2))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


class Finder:
    def __init__(self, *boxes: Region) -> None:
        self.boxes, self.seen = boxes, list[Image]()

    def detect(self, image: Image) -> Sequence[Region]:
        self.seen.append(image)
        if not self.boxes:
            raise RuntimeError("no camera today")
        return self.boxes


def test_regions_are_blurred_with_a_margin_where_the_classes_sum_to_the_bound() -> None:
    blur, one = Blur(("person", "child"), above=0.3), frame(REGION)
    assert blur.of(one, said(0.29)) is one
    after = blur.of(one, said(0.31))
    assert changed(one, after) == (20, 20, 100, 100)
    assert (after.frame_id, after.regions, after.captured_at) == (one.frame_id, one.regions, one.captured_at)
    assert len(np.unique(after.image[20:100, 20:100].reshape(-1, 3), axis=0)) <= 36


def test_all_of_it_is_blurred_where_nothing_is_known_or_where_that_is_wanted() -> None:
    for blur, one in ((Blur(), frame()), (Blur(whole=True), frame(REGION))):
        after = blur.of(one, said(0.9))
        assert changed(one, after) == (0, 0, 160, 120)
        assert len(np.unique(after.image.reshape(-1, 3), axis=0)) <= 36


def test_of_a_frame_of_which_nothing_is_known_all_is_blurred() -> None:
    one = frame(REGION)
    assert changed(one, Blur().of(one, None)) == (0, 0, 160, 120)


def test_a_detector_looks_at_every_picture_as_it_is() -> None:
    finder = Finder(Region(0, 0, 10, 10, 1.0))
    one = frame(REGION)
    assert changed(one, Blur((), detector=finder).of(one, said(0.9))) == (0, 0, 10, 10)
    assert changed(one, Blur(detector=finder).of(one, said(0.9))) == (0, 0, 100, 100)
    assert all(image is one.image for image in finder.seen) and len(finder.seen) == 2


def test_a_detector_that_fails_blurs_everything(caplog: pytest.LogCaptureFixture) -> None:
    one = frame()
    assert changed(one, Blur((), detector=Finder()).of(one, said(0.0))) == (0, 0, 160, 120)
    assert "all of it is blurred" in caplog.text


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"classes": "person"}, "Blur.classes as names of classes; got 'person'"),
        ({"classes": ()}, "expected classes or a detector"),
        ({"above": 0}, r"Blur.above in \(0, 1\]; got 0"),
        ({"cells": 0}, "Blur.cells as a whole number from 1 to 64; got 0"),
        ({"detector": 3}, r"Blur.detector with a method detect\(image\); got 3"),
    ],
)
def test_values_that_cannot_be_used(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Blur(**wrong)


def test_classes_that_the_bundle_does_not_have_are_refused() -> None:
    with pytest.raises(ConfigError, match="in Blur; got persn"):
        Blur(("persn",)).check(("fox", "person"))
