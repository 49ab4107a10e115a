"""How much OpenCV says on standard error: 4.13 has the same levels as 4.12 by other names."""

from __future__ import annotations

from typing import Any

import cv2

SILENT, ERROR = 0, 2
"""Levels: nothing; errors alone."""

_NAMES: Any = cv2 if hasattr(cv2, "setLogLevel") else cv2.utils.logging


def log_level() -> int:
    """The level now: the higher, the more it says."""
    return int(_NAMES.getLogLevel())


def set_log_level(level: int) -> None:
    """Say no more than `level`, in the whole process."""
    _NAMES.setLogLevel(level)
