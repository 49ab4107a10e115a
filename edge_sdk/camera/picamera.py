"""Raspberry Pi camera modules, through picamera2."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from edge_sdk.camera.base import OnFault
from edge_sdk.camera.live import LiveCamera, Shot
from edge_sdk.errors import CameraError

DEFAULT_SIZE = (640, 480)
_BOOTTIME: int | None = getattr(time, "CLOCK_BOOTTIME", None)


class PicameraGrabber:
    """A running Raspberry Pi camera.

    Args:
        number: which camera, from 0.
        size: width and height in pixels; the camera's image processor scales to it.
        fps: frames per second to run at; None leaves the driver's choice.

    Raises:
        CameraError: picamera2 is not installed, or it cannot start the camera.
    """

    def __init__(self, number: int = 0, *, size: tuple[int, int] = DEFAULT_SIZE, fps: float | None = None) -> None:
        driver = load_driver()
        try:
            self._camera = driver(number)
        except (RuntimeError, IndexError, OSError) as error:
            raise CameraError(f"no Raspberry Pi camera {number}: {error} (rpicam-hello --list-cameras)") from error
        try:
            # picamera2 names formats by their order in a 24-bit word: BGR888 is R, G, B in memory.
            self._camera.configure(
                self._camera.create_video_configuration(
                    main={"size": size, "format": "BGR888"}, controls={} if fps is None else {"FrameRate": fps}
                )
            )
            self._camera.start()
        except (RuntimeError, OSError, ValueError) as error:
            self._camera.close()
            raise CameraError(f"the Raspberry Pi camera {number} cannot run at {size[0]}x{size[1]}: {error}") from error

    def read(self) -> Shot:
        """The next picture, timed by the sensor."""
        try:
            request = self._camera.capture_request()
        except (RuntimeError, OSError) as error:
            raise CameraError(f"the Raspberry Pi camera gives no more pictures: {error}") from error
        try:
            image = np.ascontiguousarray(request.make_array("main"))
            sensor_ns = request.get_metadata().get("SensorTimestamp")
        finally:
            request.release()
        return Shot(image, datetime.now(UTC) - timedelta(seconds=_age_s(sensor_ns)))

    def close(self) -> None:
        """Stop the camera."""
        self._camera.stop()
        self._camera.close()


def load_driver() -> Any:
    """The class `picamera2.Picamera2`.

    Raises:
        CameraError: it is not installed, or cannot be imported; the message names the cure.
    """
    try:
        from picamera2 import Picamera2
    except Exception as error:  # a module that was built for other versions may raise anything
        if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] in (
            "picamera2",
            "libcamera",
        ):
            raise CameraError(
                f"picamera2 is not installed ({error}): run `sudo apt install python3-picamera2`, and make the virtual "
                "environment with `python3 -m venv --system-site-packages`"
            ) from error
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        if re.search(r"numpy|_ARRAY_API|multiarray|binary incompatib", said):
            raise CameraError(
                f"picamera2 was built for another numpy than this environment's {np.__version__} ({said}): run "
                "`pip install --upgrade --force-reinstall simplejpeg` in the virtual environment, or use a newer "
                "Raspberry Pi OS, whose picamera2 is built for numpy 2"
            ) from error
        raise CameraError(
            f"picamera2 is installed but cannot be imported ({said}): run `sudo apt install --reinstall "
            "python3-picamera2 python3-libcamera`, and make the virtual environment with the system's Python: "
            "`/usr/bin/python3 -m venv --system-site-packages`"
        ) from error
    return Picamera2


def open_picamera(
    number: int = 0,
    *,
    size: tuple[int, int] = DEFAULT_SIZE,
    fps: float | None = None,
    on_fault: OnFault | None = None,
    wait_for_camera: bool = False,
) -> LiveCamera:
    """Open a Raspberry Pi camera as a live camera; the arguments are those of `PicameraGrabber`.

    Raises:
        CameraError: picamera2 is missing or broken, or there is no such camera.
    """
    load_driver()  # a driver that is missing is not waited for
    return LiveCamera(
        f"picamera2:{number}",
        lambda: PicameraGrabber(number, size=size, fps=fps),
        fps=fps,
        on_fault=on_fault,
        wait_for_camera=wait_for_camera,
    )


def _age_s(sensor_ns: int | None) -> float:
    """Seconds since the sensor's time stamp, which counts from boot (`CLOCK_BOOTTIME`); 0 where it is unknown."""
    if sensor_ns is None or _BOOTTIME is None:
        return 0.0
    return max(0.0, (time.clock_gettime_ns(_BOOTTIME) - sensor_ns) / 1e9)
