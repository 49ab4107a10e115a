from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.camera import open_camera
from edge_sdk.camera.base import Camera, Fault
from edge_sdk.camera.live import Backoff
from edge_sdk.camera.waiting import WaitingCamera
from edge_sdk.errors import CameraError, ConfigError
from edge_sdk.testing import FakeCamera
from edge_sdk.types import Frame

FRAME = Frame(np.zeros((4, 4, 3), np.uint8))


def test_it_is_tried_until_it_comes() -> None:
    faults: list[Fault] = []
    left = [CameraError("not yet"), CameraError("not yet")]

    def opener() -> Camera:
        if left:
            raise left.pop()
        return FakeCamera([FRAME])

    with WaitingCamera("cam", opener, on_fault=faults.append, backoff=Backoff(0.0, 0.0)) as camera:
        assert len(list(camera)) == 1
    assert [(fault.source, str(fault.error)) for fault in faults] == [("cam", "not yet")] * 2


def test_closing_ends_the_wait() -> None:
    tried = threading.Event()

    def opener() -> Camera:
        tried.set()
        raise CameraError("never")

    camera = WaitingCamera("cam", opener, backoff=Backoff(1000.0))
    seen: list[Frame] = []
    consumer = threading.Thread(target=lambda: seen.extend(camera))
    consumer.start()
    tried.wait()
    camera.close()
    consumer.join()
    assert seen == []


def test_a_card_that_is_put_in_later(tmp_path: Path) -> None:
    card = tmp_path / "card"

    def put_in(fault: Fault) -> None:
        card.mkdir(exist_ok=True)
        cv2.imwrite(str(card / "a.jpg"), np.zeros((8, 8, 3), np.uint8))

    with open_camera(str(card), on_fault=put_in, wait_for_camera=True) as camera:
        assert [Path(frame.source).name for frame in camera] == ["a.jpg"]


def test_what_cannot_be_understood_is_not_waited_for() -> None:
    for url in ("ftp://cam/x", "rtsp://cam:x/"):
        with pytest.raises(ConfigError):
            open_camera(url, wait_for_camera=True)
