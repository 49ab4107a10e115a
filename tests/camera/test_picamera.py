from __future__ import annotations

import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from edge_sdk.camera import open_camera
from edge_sdk.camera.picamera import PicameraGrabber, open_picamera
from edge_sdk.errors import CameraError


class Request:
    """One completed capture, as picamera2 hands it out."""

    def __init__(self, camera: Picamera2) -> None:
        self.camera = camera

    def make_array(self, name: str) -> np.ndarray[Any, Any]:
        assert name == "main"
        width, height = self.camera.settings["main"]["size"]
        padded = np.zeros((height, width + 8, 3), np.uint8)
        padded[..., 0] = 200  # red comes first in the format that picamera2 calls BGR888
        return padded[:, :width]

    def get_metadata(self) -> dict[str, int]:
        return {"SensorTimestamp": time.clock_gettime_ns(time.CLOCK_BOOTTIME) - 2_000_000_000}

    def release(self) -> None:
        self.camera.out -= 1


class Picamera2:
    """The part of picamera2's interface that is used; the real one needs the hardware."""

    made: list[Picamera2]

    def __init__(self, number: int) -> None:
        if number > 0:
            raise IndexError("list index out of range")
        self.settings: dict[str, Any] = {}
        self.out = 0
        self.state = "open"
        self.lost = threading.Event()
        self.made.append(self)

    def create_video_configuration(self, **settings: Any) -> dict[str, Any]:
        return settings

    def configure(self, settings: dict[str, Any]) -> None:
        if settings["main"]["size"][0] > 4608:
            raise RuntimeError("Configuration not supported")
        self.settings = settings

    def start(self) -> None:
        self.state = "running"

    def capture_request(self) -> Request:
        if self.lost.is_set():
            raise RuntimeError("Camera frontend has timed out!")
        self.out += 1
        return Request(self)

    def stop(self) -> None:
        self.state = "stopped"

    def close(self) -> None:
        self.state = "closed"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Picamera2]:
    """Install the stand-in; returns the cameras it makes."""
    module = ModuleType("picamera2")
    module.Picamera2 = Picamera2  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "picamera2", module)
    monkeypatch.setattr(Picamera2, "made", [], raising=False)
    return Picamera2.made


def test_not_installed_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(CameraError, match=r"sudo apt install python3-picamera2.*--system-site-packages"):
        open_camera("picamera2")


@pytest.mark.parametrize(
    ("statement", "cure"),
    [
        (
            "raise ValueError('numpy.dtype size changed, may indicate binary incompatibility. Expected 96, got 88')",
            "pip install --upgrade --force-reinstall simplejpeg",
        ),
        ("raise ImportError('numpy.core.multiarray failed to import')", "simplejpeg"),
        ("raise AttributeError('_ARRAY_API not found')", "simplejpeg"),
        ("raise ImportError('libcamera.so.0.3: cannot open shared object file')", "apt install --reinstall"),
        ("raise OSError('libcamera is of another\\nversion')", "apt install --reinstall"),
        ("import libcamera", "apt install python3-picamera2"),
        ("import a_module_of_others", "apt install --reinstall"),
    ],
)
def test_a_picamera2_that_cannot_be_imported_names_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str, cure: str
) -> None:
    (tmp_path / "picamera2.py").write_text(statement)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "picamera2", raising=False)
    with pytest.raises(CameraError, match=cure) as caught:
        open_camera("picamera2")
    assert "\n" not in str(caught.value)


def test_frames_are_rgb_and_timed_by_the_sensor(made: list[Picamera2]) -> None:
    with open_camera("picamera2://?size=320x240", fps=1000) as camera:
        (frame,) = islice(camera, 1)
        assert datetime.now(UTC) - frame.captured_at >= timedelta(seconds=1.9)
    assert frame.image.shape == (240, 320, 3)
    assert frame.image[0, 0].tolist() == [200, 0, 0]
    assert frame.source == "picamera2:0"
    (driver,) = made
    assert driver.settings == {"main": {"size": (320, 240), "format": "BGR888"}, "controls": {"FrameRate": 1000}}
    assert (driver.state, driver.out) == ("closed", 0)


def test_no_such_camera(made: list[Picamera2]) -> None:
    with pytest.raises(CameraError, match="no Raspberry Pi camera 1: list index out of range"):
        open_picamera(1)


def test_an_impossible_size(made: list[Picamera2]) -> None:
    with pytest.raises(CameraError, match="cannot run at 9999x9: Configuration not supported"):
        PicameraGrabber(size=(9999, 9))
    assert made[0].state == "closed"


def test_a_camera_that_stops(made: list[Picamera2]) -> None:
    grabber = PicameraGrabber()
    made[0].lost.set()
    with pytest.raises(CameraError, match="gives no more pictures: Camera frontend has timed out!"):
        grabber.read()
    grabber.close()
    assert made[0].state == "closed"
