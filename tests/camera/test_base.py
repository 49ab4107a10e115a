from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from edge_sdk.camera.base import CameraBase, PacedCamera, check_fps
from edge_sdk.errors import ConfigError
from edge_sdk.types import Frame


class Three(CameraBase):
    """Three frames."""

    def __iter__(self) -> Iterator[Frame]:
        for value in range(3):
            yield Frame(np.full((2, 2, 3), value, np.uint8))


class Clock:
    """Time stands still, but for what a test adds."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_slow_consumer_is_not_slowed_down_further() -> None:
    clock = Clock()
    with PacedCamera(Three(), fps=2, clock=clock) as camera:
        seen = []
        for frame in camera:
            seen.append(int(frame.image[0, 0, 0]))
            clock.now_s += 0.5
    assert seen == [0, 1, 2]


def test_close_wakes_a_waiting_camera_and_closes_the_one_behind() -> None:
    behind = Three()
    camera = PacedCamera(behind, fps=0.001, clock=Clock())
    frames = iter(camera)
    next(frames)  # the next one is due in a thousand seconds
    rest: list[Frame] = []
    waiting = threading.Thread(target=lambda: rest.extend(frames))
    waiting.start()
    camera.close()
    waiting.join()
    assert rest == []
    assert behind._stopped.is_set()


@pytest.mark.parametrize("fps", [0, -1, float("inf"), float("nan"), "5", True])
def test_impossible_rates(fps: Any) -> None:
    with pytest.raises(ConfigError, match=f"expected fps as a positive number of frames per second; got {fps!r}"):
        check_fps(fps)
