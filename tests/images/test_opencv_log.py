"""The level is set by whichever name this OpenCV has."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge_sdk.images.opencv_log import ERROR, SILENT, log_level, set_log_level


def test_silence_holds_and_ends(capfd: pytest.CaptureFixture[str]) -> None:
    before = log_level()
    damaged = np.frombuffer(b"\x89PNG\r\n\x1a\n" + bytes(64), np.uint8)
    try:
        set_log_level(ERROR)
        assert log_level() == ERROR
        set_log_level(SILENT)
        assert log_level() == SILENT
        assert cv2.imdecode(damaged, cv2.IMREAD_COLOR) is None
        assert capfd.readouterr().err == ""
    finally:
        set_log_level(before)
    assert log_level() == before
