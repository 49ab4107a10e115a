"""picamera2 without a Raspberry Pi: the part of its documented interface that this SDK uses."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_sdk.types import Image

Scene = Callable[[int], Image]
"""Picture number n from 0, `uint8 (H, W, 3)` RGB; it is scaled to the streams' sizes."""

_ALIGNED = 64  # bytes; rows of the small stream are padded to a multiple
_LARGEST = (4608, 2592)
_PACE_S = 0.001


class FakeRequest:
    """One completed capture (`picamera2.request.CompletedRequest`)."""

    def __init__(self, camera: FakePicamera2, picture: Image, metadata: dict[str, Any]) -> None:
        self._camera, self._picture, self._metadata = camera, picture, metadata

    def make_array(self, name: str) -> NDArray[np.uint8]:
        """A stream's picture: `(h, w, 3)` of BGR888, which is R, G, B in memory; `(h * 3 / 2, stride)` of YUV420."""
        stream = self._camera.camera_configuration()[name]
        width, height = stream["size"]
        scaled = np.asarray(cv2.resize(self._picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        self._camera.read_out[name] = self._camera.read_out.get(name, 0) + 1
        if stream["format"] == "BGR888":
            return scaled
        planes = np.asarray(cv2.cvtColor(scaled, cv2.COLOR_RGB2YUV_I420), np.uint8)
        padded = np.full((height * 3 // 2, stream["stride"]), 77, np.uint8)
        padded[:height, :width] = planes[:height]
        return padded

    def get_metadata(self) -> dict[str, Any]:
        """What the camera says of the capture."""
        return self._metadata

    def release(self) -> None:
        """Give the buffer back."""
        if self._picture is None:
            raise RuntimeError("a request was released twice")
        del self._picture
        self._picture = None  # type: ignore[assignment]
        with self._camera.counting:
            self._camera.out -= 1


class FakePicamera2:
    """A camera module (`picamera2.Picamera2`).

    Attributes:
        settings: what it was configured with.
        out: requests that were handed out and not released.
        most_out: the most at one time.
        read_out: pictures that were copied out, by stream.
        state: "open", "running", "stopped" or "closed".
        lost: set by a test: the next capture fails.
        hangs: set by a test: no more captures come, as where the ribbon cable is loose.
        metadata: what each capture says besides its time.
    """

    def __init__(self, camera_num: int = 0, *, scene: Scene | None = None, cameras: int = 1) -> None:
        if camera_num >= cameras:
            raise IndexError("list index out of range")
        self._scene = scene or _noise
        self._taken = 0
        self.settings: dict[str, Any] = {}
        self.out = self.most_out = 0
        self.counting = threading.Lock()
        self.read_out: dict[str, int] = {}
        self.state = "open"
        self.lost = threading.Event()
        self.hangs = False
        self.metadata: dict[str, Any] = {
            "ExposureTime": 20_000,
            "AnalogueGain": 2.0,
            "Lux": 120.0,
            "SensorTemperature": 31.0,
            "AeLocked": True,
        }

    def create_video_configuration(
        self,
        main: dict[str, Any],
        lores: dict[str, Any] | None = None,
        controls: dict[str, Any] | None = None,
        buffer_count: int = 6,
    ) -> dict[str, Any]:
        """A configuration for `configure`."""
        return {"main": main, "lores": lores, "controls": controls or {}, "buffer_count": buffer_count}

    def configure(self, configuration: dict[str, Any]) -> None:
        """Take these streams; RuntimeError where the camera cannot give them."""
        size, lores = configuration["main"]["size"], configuration["lores"]
        if any(ours > most for ours, most in zip(size, _LARGEST, strict=True)):
            raise RuntimeError("Configuration not supported")
        if lores is not None and any(small > large for small, large in zip(lores["size"], size, strict=True)):
            raise RuntimeError("lores stream dimensions may not exceed main stream")
        self.settings = {name: value for name, value in configuration.items() if value is not None}

    def camera_configuration(self) -> dict[str, Any]:
        """The streams as they are, with their strides in bytes."""
        streams = dict(self.settings)
        for name, bytes_per_pixel in (("main", 3), ("lores", 1)):
            if name in streams:
                width = streams[name]["size"][0] * bytes_per_pixel
                streams[name] = {**streams[name], "stride": -(-width // _ALIGNED) * _ALIGNED}
        return streams

    def start(self) -> None:
        """Begin to capture."""
        self.state = "running"

    def capture_request(self, wait: float | bool | None = None) -> FakeRequest:
        """The next capture.

        Args:
            wait: seconds to wait for one; None or True: for ever, which the fake refuses to.
        """
        if self.hangs:
            if wait is None or wait is True:
                raise RuntimeError("no capture comes: the real camera would wait for ever")
            raise TimeoutError
        if self.lost.wait(_PACE_S):
            raise RuntimeError("Camera frontend has timed out!")
        if self.state != "running":
            raise RuntimeError("the camera is not started")
        with self.counting:
            if self.out >= self.settings["buffer_count"]:
                raise RuntimeError("all buffers are held: the real camera would wait for ever")
            self.out += 1
            self.most_out = max(self.out, self.most_out)
        picture = self._scene(self._taken)
        self._taken += 1
        boot_ns = time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
        return FakeRequest(self, picture, {"SensorTimestamp": boot_ns, **self.metadata})

    def cancel_all_and_flush(self) -> None:
        """Give up what waits for a capture, so that a camera that hangs can be stopped."""
        self.hangs = False

    def stop(self) -> None:
        """End capturing."""
        if self.hangs:
            raise RuntimeError("the camera hangs: the real one would wait for ever")
        self.state = "stopped"

    def close(self) -> None:
        """Free the camera."""
        self.state = "closed"


@contextmanager
def fake_picamera2(scene: Scene | None = None, *, cameras: int = 1) -> Iterator[list[FakePicamera2]]:
    """Within the block `import picamera2` gives the fake, and `open_camera("picamera2")` opens it.

    Args:
        scene: what the camera sees; None: noise.
        cameras: how many there are.

    Yields:
        the cameras that were opened, in order.
    """
    made: list[FakePicamera2] = []

    def make(camera_num: int = 0) -> FakePicamera2:
        made.append(FakePicamera2(camera_num, scene=scene, cameras=cameras))
        return made[-1]

    module = ModuleType("picamera2")
    module.Picamera2 = make  # type: ignore[attr-defined]
    before = sys.modules.get("picamera2")
    sys.modules["picamera2"] = module
    try:
        yield made
    finally:
        del sys.modules["picamera2"]
        if before is not None:
            sys.modules["picamera2"] = before


def _noise(number: int) -> Image:
    return np.random.default_rng(number).integers(0, 256, (120, 160, 3), np.uint8)
