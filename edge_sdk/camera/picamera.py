"""Raspberry Pi camera modules, through picamera2.

The camera gives two pictures at once: a small one in which motion is looked for, and the full one, which stays in the
camera's buffer until somebody looks at it. A frame in which nothing moves costs no copy of the full picture.
"""

from __future__ import annotations

import logging
import re
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_sdk.camera.base import OnFault
from edge_sdk.camera.live import LiveCamera, Shot
from edge_sdk.camera.stillness import FROZEN_S
from edge_sdk.errors import CameraError, ConfigError
from edge_sdk.terminal.line import literal
from edge_sdk.types import Image

_log = logging.getLogger(__name__)
DEFAULT_SIZE = (640, 480)
DEFAULT_BUFFERS = 6
"""As picamera2's own for video."""
_LORES_SIDE = 320
_AT_WORK = 3  # buffers that the camera itself needs: two in the sensor's pipeline, one that picamera2 holds
_SILENT_S = 10.0
_BOOTTIME: int | None = getattr(time, "CLOCK_BOOTTIME", None)
_MEASURED = {
    "exposure_s": ("ExposureTime", 1e-6),
    "gain": ("AnalogueGain", 1.0),
    "lux": ("Lux", 1.0),
    "celsius": ("SensorTemperature", 1.0),
}


class Held:
    """A picture in one of the camera's buffers (`edge_sdk.types.Exposure`). The buffer is given back when the picture
    has been read, or when nobody can read it any more.

    Args:
        request: picamera2's completed request.
        small: `uint8 (h, w)`, grey.
        size: width and height of the full picture.
        given_up: takes the request of a picture that nobody looked at; whoever owns the camera releases it. (Python may
            call `__del__` on any thread, also on one of picamera2's that holds the lock which `release` takes.)
    """

    def __init__(
        self, request: Any, small: NDArray[np.uint8], size: tuple[int, int], given_up: Callable[[Any], object]
    ) -> None:
        self._request = request
        self._given_up = given_up
        self._image: Image | None = None
        self._lock = threading.Lock()
        self.small = small
        self.size = size

    @property
    def is_open(self) -> bool:
        """Whether it occupies a buffer."""
        return self._request is not None

    def read(self) -> Image:
        """The full picture, `uint8 (H, W, 3)` RGB.

        Raises:
            CameraError: the camera was lost before the picture was read.
        """
        with self._lock:
            if self._request is not None:
                request, self._request = self._request, None
                try:
                    self._image = full_picture(request)
                except (RuntimeError, OSError, ValueError) as error:
                    raise CameraError(f"a picture of the Raspberry Pi camera is lost: {error}") from error
                finally:
                    request.release()
            if self._image is None:
                raise CameraError("a picture of the Raspberry Pi camera was lost with the camera")
            return self._image

    def __del__(self) -> None:
        if self._request is not None:
            self._given_up(self._request)


class PicameraGrabber:
    """A running Raspberry Pi camera.

    Args:
        number: which camera, from 0.
        size: width and height in pixels; the camera's image processor scales to it.
        lores: width and height of the small picture in which motion is looked for, even numbers, no larger than `size`;
            full pictures are then read out when they are looked at. None: each is read out at once.
        buffers: full pictures that the camera has room for. All but three can wait to be looked at: the newest, the one
            that is looked at, and those that `MotionSettings.before_frames` keeps. One more is read out and copied.
        fps: frames per second to run at; None leaves the driver's choice.

    Raises:
        CameraError: picamera2 is not installed, or it cannot start the camera.
        ConfigError: `lores` or `buffers` cannot be used.
    """

    def __init__(
        self,
        number: int = 0,
        *,
        size: tuple[int, int] = DEFAULT_SIZE,
        lores: tuple[int, int] | None = None,
        buffers: int = DEFAULT_BUFFERS,
        fps: float | None = None,
    ) -> None:
        check_streams(size, lores, buffers)
        driver = load_driver()
        try:
            self._camera = driver(number)
        except (RuntimeError, IndexError, OSError) as error:
            raise CameraError(f"no Raspberry Pi camera {number}: {error} (rpicam-hello --list-cameras)") from error
        try:
            # picamera2 names formats by their order in a 24-bit word: BGR888 is R, G, B in memory. The small picture
            # can be YUV420 on every board; its first plane is the grey picture.
            self._camera.configure(
                self._camera.create_video_configuration(
                    main={"size": size, "format": "BGR888"},
                    lores=None if lores is None else {"size": lores, "format": "YUV420"},
                    controls={} if fps is None else {"FrameRate": fps},
                    buffer_count=buffers,
                )
            )
            self._camera.start()
        except (RuntimeError, OSError, ValueError) as error:
            self._camera.close()
            raise CameraError(f"the Raspberry Pi camera {number} cannot run at {size[0]}x{size[1]}: {error}") from error
        streams = self._camera.camera_configuration()  # sizes may have been adjusted
        self._size: tuple[int, int] = tuple(streams["main"]["size"])
        self._lores: tuple[int, int] | None = None if lores is None else tuple(streams["lores"]["size"])
        self._most_held = buffers - _AT_WORK
        self._held: deque[weakref.ref[Held]] = deque()
        self._given_up: deque[Any] = deque()
        self._silent_s = _SILENT_S if fps is None else max(_SILENT_S, 3 / fps)

    def read(self) -> Shot:
        """The next picture, timed by the sensor."""
        self._make_room(self._most_held - 1)
        try:
            request = self._camera.capture_request(wait=self._silent_s)
        except TimeoutError as error:
            raise CameraError(
                f"the Raspberry Pi camera gives no more pictures: none came within {self._silent_s:g} s"
            ) from error
        except (RuntimeError, OSError) as error:
            raise CameraError(f"the Raspberry Pi camera gives no more pictures: {error}") from error
        picture: Image | Held
        is_held = False
        try:
            metadata = request.get_metadata()
            if self._lores is None:
                picture = full_picture(request)
            else:
                width, height = self._lores
                # Rows may be padded; the two planes of colour lie below.
                grey = np.ascontiguousarray(request.make_array("lores")[:height, :width])
                picture, is_held = Held(request, grey, self._size, self._given_up.append), True
                self._held.append(weakref.ref(picture))
        finally:
            if not is_held:
                request.release()
        at = datetime.now(UTC) - timedelta(seconds=_age_s(metadata.get("SensorTimestamp")))
        return Shot(picture, at, measured_of(metadata))

    def close(self) -> None:
        """Stop the camera. Pictures that may still be looked at are read out first."""
        self._make_room(0)
        try:
            # What waits for a camera that hangs must be cancelled before it can be stopped; older picamera2 cannot.
            getattr(self._camera, "cancel_all_and_flush", lambda: None)()
            self._camera.stop()
        except (RuntimeError, OSError) as error:  # it is lost, and is opened anew
            _log.warning("%s", literal(f"the Raspberry Pi camera did not stop: {error}"))
        finally:
            self._camera.close()

    def _make_room(self, most: int) -> None:
        """Read out the oldest pictures until at most so many occupy a buffer; release those that nobody looked at."""
        while self._given_up:
            self._given_up.popleft().release()
        waiting = [held for one in self._held if (held := one()) is not None and held.is_open]
        for held in waiting[: max(0, len(waiting) - most)]:
            try:
                held.read()
            except CameraError:  # who looks at it is told
                continue
        self._held = deque(one for one in self._held if (held := one()) is not None and held.is_open)


def full_picture(request: Any) -> Image:
    """The full picture of a completed request, `uint8 (H, W, 3)` RGB."""
    return np.ascontiguousarray(request.make_array("main"))


def measured_of(metadata: Any) -> dict[str, float]:
    """What of a request's metadata a frame keeps (`Frame.measured`)."""
    return {
        name: float(metadata[key]) * factor
        for name, (key, factor) in _MEASURED.items()
        if isinstance(metadata.get(key), int | float)
    }


def usual_lores(size: tuple[int, int]) -> tuple[int, int] | None:
    """The small picture beside a full one: its longer side 320 pixels, even sides; None where that saves nothing."""
    longest = max(size)
    if longest <= _LORES_SIDE:
        return None
    width, height = (max(2, 2 * round(side * _LORES_SIDE / longest / 2)) for side in size)
    return width, height


def check_streams(size: tuple[int, int], lores: tuple[int, int] | None, buffers: int) -> None:
    """Raise `ConfigError` where a camera cannot give these pictures at once."""
    if lores is not None and (any(side % 2 for side in lores) or lores[0] > size[0] or lores[1] > size[1]):
        raise ConfigError(
            f"expected lores with even sides, and no larger than the full picture of {size[0]}x{size[1]}; got "
            f"{lores[0]}x{lores[1]}"
        )
    least = _AT_WORK + 2
    if not least <= buffers <= 64:
        raise ConfigError(f"expected buffers from {least} to 64; got {buffers}")


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
    lores: tuple[int, int] | None = None,
    buffers: int = DEFAULT_BUFFERS,
    fps: float | None = None,
    on_fault: OnFault | None = None,
    wait_for_camera: bool = False,
) -> LiveCamera:
    """Open a Raspberry Pi camera as a live camera; the arguments are those of `PicameraGrabber`.

    Raises:
        CameraError: picamera2 is missing or broken, or there is no such camera.
        ConfigError: `lores` or `buffers` cannot be used.
    """
    check_streams(size, lores, buffers)
    load_driver()  # a driver that is missing is not waited for
    return LiveCamera(
        f"picamera2:{number}",
        lambda: PicameraGrabber(number, size=size, lores=lores, buffers=buffers, fps=fps),
        fps=fps,
        on_fault=on_fault,
        wait_for_camera=wait_for_camera,
        # In a small picture noise is averaged out, and two of the night may be equal; a sensor that stops raises.
        frozen_s=FROZEN_S if lores is None else None,
    )


def _age_s(sensor_ns: int | None) -> float:
    """Seconds since the sensor's time stamp, which counts from boot (`CLOCK_BOOTTIME`); 0 where it is unknown."""
    if sensor_ns is None or _BOOTTIME is None:
        return 0.0
    return max(0.0, (time.clock_gettime_ns(_BOOTTIME) - sensor_ns) / 1e9)
