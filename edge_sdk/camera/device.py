"""USB and other cameras of the machine itself (Video4Linux on Linux)."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np

from edge_sdk.camera.base import OnFault
from edge_sdk.camera.files import natural_key
from edge_sdk.camera.live import LiveCamera, Shot
from edge_sdk.errors import CameraError, ConfigError

_log = logging.getLogger(__name__)


class DeviceGrabber:
    """An open camera device.

    Args:
        device: its number (2 is `/dev/video2`), or its name below `/dev/v4l/by-id` or `/dev/v4l/by-path`. A name lasts:
            it leads to the camera whatever number it has since it was plugged in again.
        size: width and height in pixels to ask for; the driver takes the nearest it has.
        fps: frames per second to ask for, with which some drivers choose the exposure.
        encoding: pixel format to ask for, four letters such as `MJPG`, which USB cameras need for large sizes.
        devices: the folder of the device files.

    Where the driver gives another size or format than it was asked for, a warning says which.

    Raises:
        CameraError: there is no such device, or it gives no picture.
    """

    def __init__(
        self,
        device: int | str,
        *,
        size: tuple[int, int] | None = None,
        fps: float | None = None,
        encoding: str | None = None,
        devices: Path = Path("/dev"),
    ) -> None:
        self._name = device_name(device)
        index = find_device(device, devices)
        linux = sys.platform == "linux"
        self._capture = cv2.VideoCapture(index, cv2.CAP_V4L2 if linux else cv2.CAP_ANY)
        if encoding is not None:
            self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*encoding))
        if size is not None:
            self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
            self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
        if fps is not None:
            self._capture.set(cv2.CAP_PROP_FPS, fps)
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # a longer queue in the driver only makes frames older
        if not self._capture.isOpened() or not self._capture.grab():
            self._capture.release()
            raise CameraError(
                f"the camera {self._name} gives no picture: another program may use it, or it is no capture device (of "
                "the two names of a USB camera the one that ends in index0 gives pictures; this machine has "
                f"{_present(devices)}; for a Raspberry Pi camera module use picamera2)"
            )

        self._tell_what_came(size, encoding)

    def _tell_what_came(self, size: tuple[int, int] | None, encoding: str | None) -> None:
        width, height, code = (
            round(self._capture.get(one))
            for one in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FOURCC)
        )
        came = code.to_bytes(4, "little", signed=code < 0).decode("latin-1")
        if size not in (None, (width, height)) or (came.isalnum() and encoding not in (None, came)):
            asked = " ".join([*(["x".join(map(str, size))] if size else []), *([encoding] if encoding else [])])
            _log.warning(
                "the camera %s gives %dx%d %s; it was asked for %s (`v4l2-ctl --list-formats-ext` shows what it has)",
                self._name,
                width,
                height,
                came if came.isalnum() else "",
                asked,
            )

    def read(self) -> Shot:
        """The next picture, timed when the driver hands it over."""
        done, image = self._capture.read()
        if not done or image is None:  # a driver may be sure of a picture that is gone
            raise CameraError(f"the camera {self._name} gives no more pictures: unplugged?")
        return Shot(np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8), datetime.now(UTC))

    def close(self) -> None:
        """Free the device."""
        self._capture.release()


def open_device(
    device: int | str,
    *,
    size: tuple[int, int] | None = None,
    fps: float | None = None,
    encoding: str | None = None,
    on_fault: OnFault | None = None,
    wait_for_camera: bool = False,
) -> LiveCamera:
    """Open a camera device as a live camera; the arguments are those of `DeviceGrabber` and `LiveCamera`.

    Raises:
        CameraError: there is no such device, or it gives no picture.
        ConfigError: `encoding` is not four ASCII characters.
    """
    if encoding is not None and (len(encoding) != 4 or not encoding.isascii()):
        raise ConfigError(f"expected encoding as four letters, such as MJPG or YUYV; got {encoding!r}")
    return LiveCamera(
        device_name(device),
        lambda: DeviceGrabber(device, size=size, fps=fps, encoding=encoding),
        fps=fps,
        on_fault=on_fault,
        wait_for_camera=wait_for_camera,
    )


def device_name(device: int | str) -> str:
    """The path of a device's file, as it was named."""
    return f"/dev/video{device}" if isinstance(device, int) or device.isdecimal() else device


def find_device(device: int | str, devices: Path = Path("/dev")) -> int:
    """The number that a camera has now.

    Args:
        device: as in `DeviceGrabber`.
        devices: the folder of the device files.

    Raises:
        CameraError: there is no such device.
    """
    name = device_name(device)
    file = devices / Path(name).relative_to("/dev")
    if sys.platform != "linux" and file.name.startswith("video"):
        return int(file.name.removeprefix("video"))  # other systems number their cameras without files
    if not file.exists():
        raise CameraError(f"there is no camera {name}: this machine has {_present(devices)}")
    real = file.resolve()
    number = real.name.removeprefix("video")
    if real.parent != devices.resolve() or not real.name.startswith("video") or not number.isdecimal():
        raise CameraError(f"expected {name} to lead to a camera such as /dev/video0; it leads to {real}")
    return int(number)


def _present(devices: Path) -> str:
    """The machine's cameras: by the names that last, else by number."""
    lasting: list[str] = []
    for folder in ("by-id", "by-path"):
        lasting = lasting or sorted(f"/dev/v4l/{folder}/{file.name}" for file in devices.glob(f"v4l/{folder}/*-index0"))
    numbered = sorted((f"/dev/{file.name}" for file in devices.glob("video[0-9]*")), key=natural_key)
    if not numbered:
        return "no /dev/video* at all"
    return ", ".join(numbered) + (f", of which these names last: {', '.join(lasting)}" if lasting else "")
