"""Regions: the separate subjects in the motion gate's mask."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_sdk.types import Region

MOST = 4
"""Regions of one frame at most: the largest."""


def find_regions(
    moved: NDArray[np.uint8], grown: NDArray[np.uint8], width: int, height: int, least: float
) -> tuple[Region, ...]:
    """The subjects in a mask: its connected parts, corners included, the largest first.

    Args:
        moved: `uint8 (h, w)`, not 0 where something moved.
        grown: the same, dilated, so that the parts of one subject meet; the boxes are those of its parts.
        width: of the full frame, pixels.
        height: of the full frame, pixels.
        least: pixels of `moved` below which a part does not count; the largest always does.

    Returns:
        at most `MOST` regions in pixels of the full frame; none where nothing moved.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(grown, connectivity=8, ltype=cv2.CV_32S)
    sizes = np.bincount(labels[moved > 0], minlength=count)
    sizes[0] = 0
    small_height, small_width = moved.shape
    found: list[Region] = []
    for part in np.argsort(-sizes, kind="stable")[:MOST].tolist():
        if sizes[part] == 0 or (found and sizes[part] < least):
            break
        left, top, across, down = stats[part, :4].tolist()
        x, y = left * width // small_width, top * height // small_height
        right, bottom = -(-(left + across) * width // small_width), -(-(top + down) * height // small_height)
        found.append(Region(x, y, right - x, bottom - y, float(sizes[part] / sizes.sum())))
    return tuple(found)
