from __future__ import annotations

import numpy as np

from edge_sdk import Camera, Fault, Frame, ImageError
from edge_sdk.testing import FakeCamera


def test_it_follows_its_script() -> None:
    faults: list[Fault] = []
    frame = Frame(np.zeros((4, 6, 3), np.uint8), source="mine")
    with FakeCamera([frame, ImageError("broken"), frame.image], on_fault=faults.append) as camera:
        came = list(camera)
    assert came[0] is frame
    assert [one.source for one in came] == ["mine", "fake/2"]
    assert [(fault.source, str(fault.error)) for fault in faults] == [("fake/1", "broken")]


def test_closing_ends_it() -> None:
    camera: Camera = FakeCamera(10)
    seen = 0
    for _ in camera:
        seen += 1
        if seen == 2:
            camera.close()
    assert seen == 2
