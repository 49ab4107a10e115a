"""Frames, ids and the checks at the edge."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from edge_sdk.errors import EdgeError, ImageError
from edge_sdk.types import Frame, Image, Prediction, check_image, new_frame_id


def test_frame_ids_are_unique_sorted_by_time_and_version_7() -> None:
    ids = [new_frame_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert all(len(one) == 32 and one[12] == "7" and one[16] in "89ab" for one in ids)
    assert [one[:12] for one in ids] == sorted(one[:12] for one in ids)


@pytest.mark.parametrize(
    "bad",
    [
        None,
        "photo.jpg",
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_what_is_no_image_is_refused_with_what_came(bad: object) -> None:
    with pytest.raises(ImageError, match=r"expected .*\(height, width, 3\) RGB; got"):
        check_image(bad)


def test_a_frame_checks_its_parts() -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    assert Frame(image).captured_at.tzinfo is not None
    assert Frame(image[:, ::-1]).image.flags["C_CONTIGUOUS"]
    with pytest.raises(ImageError, match="time zone"):
        Frame(image, captured_at=datetime(2026, 1, 1))
    with pytest.raises(ImageError, match="32 lower-case hexadecimal"):
        Frame(image, frame_id="7")
    assert issubclass(ImageError, EdgeError)


class Taken:
    """A picture that is still in its camera."""

    size = (8, 6)
    small = np.zeros((3, 4), np.uint8)

    def __init__(self) -> None:
        self.reads = 0

    def read(self) -> Image:
        self.reads += 1
        return np.full((6, 8, 3), 7, np.uint8)


def test_a_picture_in_the_camera_is_read_at_its_first_use() -> None:
    exposure = Taken()
    frame = Frame.taken(exposure, datetime(2026, 5, 1, tzinfo=UTC), "rtsp://me:secret@host/x", {"lux": 3.0})
    assert (frame.size, frame.view.shape, frame.source) == ((8, 6), (3, 4), "rtsp://host/x")
    assert "8x6" in repr(frame) and exposure.reads == 0
    copy = replace(frame, note="seen")
    assert copy.image is frame.image and exposure.reads == 1
    assert (copy.exposure, copy.size, copy.measured) == (None, (8, 6), {"lux": 3.0})
    with pytest.raises(AttributeError, match="'Frame' object has no attribute 'picture'"):
        _ = frame.picture  # type: ignore[attr-defined]


def test_a_prediction_names_its_top() -> None:
    said = Prediction(("a", "b", "c"), np.array([0.2, 0.7, 0.1], np.float32))
    assert (said.top, said.label) == (1, "b")
    assert said.confidence == pytest.approx(0.7)
