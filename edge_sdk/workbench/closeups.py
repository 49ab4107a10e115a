"""Cut-outs around what moved. They enlarge small subjects, so that a network trained from scratch learns them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_sdk.types import Image

Box = tuple[int, int, int, int]
"""Left, top, width, height, in pixels."""

_MIN_WIDTH = 48
_LEVELS = 6.0
"""Smallest difference of a changed pixel from the median picture, in grey levels above twice the usual difference."""


def find_changes(images: Sequence[Image]) -> list[Box | None]:
    """Find where each of several pictures of one place, taken in the same light, differs from the others.

    The median of the pictures stands for the empty place. Pictures are compared in grey at half size.

    Args:
        images: five or more of `uint8 (H, W, 3)`, the same size.

    Returns:
        for each picture the bounding box of its largest change, or None.
    """
    small = np.stack(
        [
            cv2.resize(cv2.cvtColor(i, cv2.COLOR_RGB2GRAY), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
            for i in images
        ]
    )
    difference = np.abs(small - np.median(small, axis=0).astype(np.float32))
    usual = np.median(difference, axis=0)
    return [_largest(cv2.blur(one - 2 * usual, (5, 5))) for one in difference]


def _largest(excess: NDArray[np.float32]) -> Box | None:
    count, areas, stats, _ = cv2.connectedComponentsWithStats((excess > _LEVELS).astype(np.uint8), connectivity=8)
    if count < 2:
        return None
    sums = np.bincount(areas.ravel(), weights=np.maximum(excess, 0).ravel(), minlength=count)
    left, top, width, height = (2 * int(value) for value in stats[1 + int(sums[1:].argmax()), :4])
    return left, top, width, height


def cut_out(image: Image, box: Box | None, rng: np.random.Generator) -> Image:
    """A part of the picture, with its aspect ratio, of which the box fills 20% to 90%; without a box any part.

    Args:
        image: `uint8 (H, W, 3)`.
        box: what the part must show; None: anything.
        rng: draws size and place.
    """
    height, width = image.shape[:2]
    aspect = width / height
    if box is None:
        extent = float(np.exp(rng.uniform(np.log(20), np.log(width / 2))))
        box = (int(rng.uniform(0, width)), int(rng.uniform(0, height)), 1, 1)
    else:
        extent = max(box[2], box[3] * aspect)
    share = float(np.exp(rng.uniform(np.log(0.2), np.log(0.9))))
    cut_width = float(np.clip(extent / share, _MIN_WIDTH, width))
    cut_height = cut_width / aspect
    left = _place(box[0], box[2], cut_width, width, rng)
    top = _place(box[1], box[3], cut_height, height, rng)
    return image[top : top + max(1, round(cut_height)), left : left + max(1, round(cut_width))]


def _place(start: int, length: int, cut: float, limit: int, rng: np.random.Generator) -> int:
    """Where the cut begins, such that the box lies in it as far as the picture allows."""
    low, high = sorted((start + length - cut, float(start)))
    return int(np.clip(rng.uniform(low, high), 0, limit - cut))
