"""A camera whose frames a test decides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from edge_sdk.camera.base import CameraBase, OnFault
from edge_sdk.errors import EdgeError
from edge_sdk.types import Frame, Image


class FakeCamera(CameraBase):
    """Hands out frames, and reports faults, in the order given; ends with the last or when it is closed.

    Args:
        script: what comes: a frame; a picture, `uint8 (H, W, 3)` RGB; or an error, which is reported as a fault. A
            number stands for that many frames of noise, 640x480.
        on_fault: called with each fault.
    """

    def __init__(self, script: Iterable[Frame | Image | EdgeError] | int, *, on_fault: OnFault | None = None) -> None:
        super().__init__(on_fault)
        self._script = _noise(script) if isinstance(script, int) else script

    def __iter__(self) -> Iterator[Frame]:
        for number, part in enumerate(self._script):
            if self._stopped.is_set():
                return
            source = f"fake/{number}"
            if isinstance(part, EdgeError):
                self._report(source, part)
            else:
                yield part if isinstance(part, Frame) else Frame(part, source=source)


def _noise(count: int) -> Iterator[Image]:
    random = np.random.default_rng(0)
    return (random.integers(0, 256, (480, 640, 3), np.uint8) for _ in range(count))
