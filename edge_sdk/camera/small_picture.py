"""Small grey pictures: what a background is made of and compared with."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_MEDIAN_CELL = 8
_FACTORS = (0.5, 2.0)


def shrink(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """A small, slightly blurred grey picture, `uint8 (h, w)`, its longer side at most `side`.

    Args:
        image: `uint8`, `(H, W, 3)` RGB or `(H, W)` grey.
        side: pixels.
    """
    height, width = image.shape[:2]
    scale = min(1.0, side / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    grey = small if small.ndim == 2 else cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.blur(grey, (3, 3)), np.uint8)


def brightness_factor(small: NDArray[np.uint8], background: NDArray[np.float32]) -> float:
    """The common factor of brightness between a picture and a background: the median over a coarse grid.

    Args:
        small: `uint8 (h, w)`.
        background: `float32 (h, w)`.

    Returns:
        1 where it is within the rounding of 8 bits, or so far off that the scene is another.
    """
    size = max(1, small.shape[1] // _MEDIAN_CELL), max(1, small.shape[0] // _MEDIAN_CELL)
    now = cv2.resize(small, size, interpolation=cv2.INTER_LINEAR).astype(np.float32)
    then = cv2.resize(background, size, interpolation=cv2.INTER_LINEAR)
    ratios = ((now + 1) / (then + 1)).ravel()
    factor = float(np.partition(ratios, ratios.size // 2)[ratios.size // 2])
    return factor if abs(factor - 1) > 0.01 and _FACTORS[0] < factor < _FACTORS[1] else 1.0
