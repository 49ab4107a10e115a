from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edge_sdk.camera.address import Address, parse_address
from edge_sdk.camera.device import DeviceGrabber, find_device, open_device
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
