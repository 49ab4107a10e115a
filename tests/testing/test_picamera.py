from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from edge_sdk.testing import FakePicamera2, fake_picamera2


def started(**settings: Any) -> FakePicamera2:
    camera = FakePicamera2()
    camera.configure(camera.create_video_configuration(**{"main": {"size": (64, 48), "format": "BGR888"}, **settings}))
    camera.start()
    return camera


def test_arrays_are_shaped_as_the_manual_says() -> None:
    camera = started(lores={"size": (40, 30), "format": "YUV420"})
    request = camera.capture_request()
    assert request.make_array("main").shape == (48, 64, 3)
    assert request.make_array("lores").shape == (45, 64)  # rows of 40 bytes, padded to 64
    assert camera.camera_configuration()["lores"]["stride"] == 64
    assert {"SensorTimestamp", "ExposureTime", "Lux"} <= set(request.get_metadata())


def test_buffers_are_counted() -> None:
    camera = started(buffer_count=2)
    first, _ = camera.capture_request(), camera.capture_request()
    with pytest.raises(RuntimeError, match="all buffers are held"):
        camera.capture_request()
    first.release()
    camera.capture_request()
    with pytest.raises(RuntimeError, match="released twice"):
        first.release()


def test_it_is_there_within_the_block_alone() -> None:
    before = sys.modules.get("picamera2")
    with fake_picamera2(lambda number: np.full((6, 8, 3), number, np.uint8), cameras=2) as made:
        from picamera2 import Picamera2

        Picamera2(1)
        with pytest.raises(IndexError):
            Picamera2(2)
        assert len(made) == 1
    assert sys.modules.get("picamera2") is before


def test_a_small_picture_larger_than_the_full_one_is_refused() -> None:
    with pytest.raises(RuntimeError, match="may not exceed"):
        started(lores={"size": (128, 96), "format": "YUV420"})
