"""Where the loop is."""

from __future__ import annotations

import numpy as np

from edge_sdk.camera.base import Fault
from edge_sdk.errors import CameraError, ImageError
from edge_sdk.service.pulse import Pulse
from edge_sdk.testing import FakeClock
from edge_sdk.types import Frame


def test_a_loop_may_wait_for_the_camera_but_not_stay_on_a_frame() -> None:
    clock = FakeClock()
    pulse = Pulse(10.0, clock=clock.steady_s)
    frames = pulse.over(iter([Frame(np.zeros((4, 4, 3), np.uint8))] * 2))
    clock.pass_s(1000)
    assert pulse.is_well and pulse.busy_s == 0
    next(frames)
    clock.pass_s(9)
    assert pulse.is_well and pulse.busy_s == 9
    clock.pass_s(1)
    assert not pulse.is_well
    next(frames)
    assert pulse.is_well and pulse.frames == 2
    assert next(frames, None) is None
    clock.pass_s(1000)
    assert pulse.is_well


def test_a_camera_is_away_until_its_next_frame() -> None:
    pulse = Pulse(10.0)
    pulse.lost(Fault("a.jpg", ImageError("a broken picture")))
    assert pulse.away == ""
    pulse.lost(Fault("cam", CameraError("no answer")))
    assert pulse.away == "no answer"
    next(pulse.over(iter([Frame(np.zeros((4, 4, 3), np.uint8))])))
    assert pulse.away == ""
