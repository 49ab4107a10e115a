"""USB and other cameras of the machine itself (Video4Linux on Linux)."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np

from edge_sdk.camera.base import OnFault
from edge_sdk.camera.files import natural_key
from edge_sdk.camera.live import LiveCamera, Shot
from edge_sdk.errors import CameraError, ConfigError


class DeviceGrabber:
    """An open camera device.

    Args:
        index: its number: 2 is `/dev/video2`.
        size: width and height in pixels to ask for; the driver takes the nearest it has.
        fps: frames per second to ask for.
        encoding: pixel format to ask for, four letters such as `MJPG`, which USB cameras need for large sizes.
        devices: the folder of the device files.

    Raises:
        CameraError: there is no such device, or it gives no picture.
    """

    def __init__(
        self,
        index: int,
        *,
        size: tuple[int, int] | None = None,
        fps: float | None = None,
        encoding: str | None = None,
        devices: Path = Path("/dev"),
    ) -> None:
        self._name = f"/dev/video{index}"
        linux = sys.platform == "linux"
        if linux and not (devices / f"video{index}").exists():
            raise CameraError(f"there is no camera {self._name}: this machine has {_present(devices)}")
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
                f"the camera {self._name} gives no picture: another program may use it, or it is no capture device "
                f"(this machine has {_present(devices)}; for a Raspberry Pi camera module use picamera2)"
            )

    def read(self) -> Shot:
        """The next picture, timed when the driver hands it over."""
        done, image = self._capture.read()
        if not done:
            raise CameraError(f"the camera {self._name} gives no more pictures: unplugged?")
        return Shot(np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8), datetime.now(UTC))

    def close(self) -> None:
        """Free the device."""
        self._capture.release()


def open_device(
    index: int,
    *,
    size: tuple[int, int] | None = None,
    fps: float | None = None,
    encoding: str | None = None,
    on_fault: OnFault | None = None,
) -> LiveCamera:
    """Open a camera device as a live camera; the arguments are those of `DeviceGrabber`.

    Raises:
        CameraError: there is no such device, or it gives no picture.
        ConfigError: `encoding` is not four ASCII characters.
    """
    if encoding is not None and (len(encoding) != 4 or not encoding.isascii()):
        raise ConfigError(f"expected encoding as four letters, such as MJPG or YUYV; got {encoding!r}")
    return LiveCamera(
        f"/dev/video{index}",
        lambda: DeviceGrabber(index, size=size, fps=fps, encoding=encoding),
        fps=fps,
        on_fault=on_fault,
    )


def _present(devices: Path) -> str:
    names = sorted((f"/dev/{file.name}" for file in devices.glob("video[0-9]*")), key=natural_key)
    return ", ".join(names) or "no /dev/video* at all"
