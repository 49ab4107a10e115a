from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import pytest

from edge_sdk.camera.address import Address, parse_address
from edge_sdk.camera.device import DeviceGrabber, find_device, open_device
from edge_sdk.camera.live import Backoff, LiveCamera
from edge_sdk.errors import CameraError, ConfigError
from edge_sdk.types import Image

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


BY_ID = "/dev/v4l/by-id/usb-Maker_Webcam_0001-video-index0"
BY_PATH = "/dev/v4l/by-path/pci-0000:00:14.0-usb-0:2:1.0-video-index0"


def plug(devices: Path, number: int, *names: str) -> None:
    """Make the files that udev makes for a camera."""
    (devices / f"video{number}").touch()
    for name in names:
        link = devices / Path(name).relative_to("/dev")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(f"../../video{number}")


@linux
@pytest.mark.parametrize("name", [BY_ID, BY_PATH])
def test_a_camera_is_found_by_its_name_whatever_its_number(tmp_path: Path, name: str) -> None:
    plug(tmp_path, 0, name)
    assert find_device(name, tmp_path) == 0
    (tmp_path / "video0").unlink()
    with pytest.raises(CameraError, match=f"there is no camera {name}"):
        find_device(name, tmp_path)
    plug(tmp_path, 12, name)
    assert find_device(name, tmp_path) == 12


@linux
def test_messages_name_what_lasts(tmp_path: Path) -> None:
    plug(tmp_path, 1, BY_PATH, BY_PATH.replace("index0", "index1"))
    with pytest.raises(CameraError, match=f"/dev/video1, of which these names last: {BY_PATH}$"):
        find_device(0, tmp_path)
    plug(tmp_path, 2, BY_ID)
    with pytest.raises(CameraError, match=f"/dev/video1, /dev/video2, of which these names last: {BY_ID}$"):
        find_device(0, tmp_path)


@linux
def test_a_name_that_leads_to_no_camera(tmp_path: Path) -> None:
    (tmp_path / "v4l").mkdir()
    (tmp_path / "sda").touch()
    (tmp_path / "v4l" / "odd").symlink_to("../sda")
    with pytest.raises(CameraError, match=r"expected /dev/v4l/odd to lead to a camera such as /dev/video0"):
        find_device("/dev/v4l/odd", tmp_path)


@pytest.mark.parametrize("name", [BY_ID, BY_PATH])
def test_names_are_addresses(name: str) -> None:
    assert parse_address(name) == parse_address(Path(name)) == Address("device", name)
    assert parse_address(f"{name}?size=640x480") == Address("device", name, {"size": "640x480"})
    assert parse_address(Path("/dev/video3")) == Address("device", "3")
    assert parse_address("/dev/shm/photos") == Address("path", "/dev/shm/photos")


class Driver:
    """Video4Linux's part of OpenCV: gives pictures while the device's file is there, in one size and format."""

    devices: Path
    opened: ClassVar[list[Driver]] = []

    def __init__(self, index: int, backend: int) -> None:
        self.index, self.backend = index, backend
        self.asked: list[int] = []
        self.has = {cv2.CAP_PROP_FRAME_WIDTH: 640.0, cv2.CAP_PROP_FRAME_HEIGHT: 480.0}
        self.has[cv2.CAP_PROP_FOURCC] = float(cv2.VideoWriter.fourcc(*"YUYV"))
        self.opened.append(self)

    def set(self, name: int, value: float) -> bool:
        self.asked.append(name)
        return True

    def get(self, name: int) -> float:
        return self.has[name]

    def isOpened(self) -> bool:
        return (self.devices / f"video{self.index}").exists()

    grab = isOpened

    def read(self) -> tuple[bool, Image | None]:
        there = self.isOpened()
        return there, np.full((48, 64, 3), (0, 0, 10 * self.index), np.uint8) if there else None

    def release(self) -> None:
        pass


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[Driver]:
    monkeypatch.setattr(cv2, "VideoCapture", Driver)
    monkeypatch.setattr(Driver, "devices", tmp_path, raising=False)
    monkeypatch.setattr(Driver, "opened", [])
    return Driver


@linux
def test_a_camera_that_is_pulled_out_and_put_in_elsewhere_goes_on(tmp_path: Path, driver: type[Driver]) -> None:
    plug(tmp_path, 2, BY_ID)
    pulled = threading.Event()
    with LiveCamera(
        BY_ID,
        lambda: DeviceGrabber(BY_ID, devices=tmp_path),
        on_fault=lambda fault: pulled.set(),
        backoff=Backoff(0.0, 0.01),
        frozen_s=None,
    ) as camera:
        frames = iter(camera)
        assert next(frames).image[0, 0].tolist() == [20, 0, 0]
        (tmp_path / "video2").unlink()
        assert pulled.wait(30)
        plug(tmp_path, 7, BY_ID)
        while next(frames).image[0, 0, 0] != 70:
            pass
        assert camera.reconnects == 1
    assert [one.index for one in driver.opened] == [2, 7]


@linux
def test_the_format_is_asked_for_before_size_and_rate(
    tmp_path: Path, driver: type[Driver], caplog: pytest.LogCaptureFixture
) -> None:
    plug(tmp_path, 0)
    DeviceGrabber(0, size=(1280, 720), fps=5, encoding="MJPG", devices=tmp_path)
    assert driver.opened[0].asked == [
        cv2.CAP_PROP_FOURCC,
        cv2.CAP_PROP_FRAME_WIDTH,
        cv2.CAP_PROP_FRAME_HEIGHT,
        cv2.CAP_PROP_FPS,
        cv2.CAP_PROP_BUFFERSIZE,
    ]
    assert "/dev/video0 gives 640x480 YUYV; it was asked for 1280x720 MJPG" in caplog.text
    caplog.clear()
    DeviceGrabber(0, size=(640, 480), encoding="YUYV", devices=tmp_path)
    DeviceGrabber(0, devices=tmp_path)
    assert not caplog.text


@linux
def test_a_driver_that_promises_a_picture_and_gives_none_has_lost_it(
    tmp_path: Path, driver: type[Driver], monkeypatch: pytest.MonkeyPatch
) -> None:
    plug(tmp_path, 0)
    grabber = DeviceGrabber(0, devices=tmp_path)
    monkeypatch.setattr(driver, "read", lambda self: (True, None))
    with pytest.raises(CameraError, match="gives no more pictures: unplugged"):
        grabber.read()
