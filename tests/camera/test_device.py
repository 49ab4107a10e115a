from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edge_sdk.camera.device import DeviceGrabber, open_device
from edge_sdk.errors import CameraError, ConfigError

linux = pytest.mark.skipif(sys.platform != "linux", reason="device files are Linux's")


@linux
def test_no_such_device_names_those_there_are(tmp_path: Path) -> None:
    for name in ("video10", "video2", "video-x", "media0"):
        (tmp_path / name).touch()
    with pytest.raises(
        CameraError, match=r"there is no camera /dev/video7: this machine has /dev/video2, /dev/video10$"
    ):
        DeviceGrabber(7, devices=tmp_path)


@linux
def test_a_machine_without_cameras(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match=r"this machine has no /dev/video\* at all"):
        DeviceGrabber(0, devices=tmp_path)


@linux
def test_a_device_that_gives_no_picture(tmp_path: Path) -> None:
    (tmp_path / "video987").touch()
    with pytest.raises(CameraError, match="the camera /dev/video987 gives no picture: another program may use it"):
        DeviceGrabber(987, size=(640, 480), fps=5, encoding="MJPG", devices=tmp_path)


@pytest.mark.parametrize("encoding", ["MJP", "MJPEG", "MJPé"])
def test_impossible_encodings(encoding: str) -> None:
    with pytest.raises(ConfigError, match=f"expected encoding as four letters, such as MJPG or YUYV; got '{encoding}'"):
        open_device(0, encoding=encoding)
