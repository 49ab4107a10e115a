"""Regions: the separate subjects in the motion gate's mask."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_sdk.types import MOST_REGIONS, Region


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
        at most `MOST_REGIONS` regions in pixels of the full frame; none where nothing moved.
    """
    small_height, small_width = moved.shape
    x0, y0, across, down = cv2.boundingRect(grown)
    if across == 0:
        return ()
    near = np.s_[y0 : y0 + down, x0 : x0 + across]  # the rest need not be searched
    # The variant "WithStats" takes twenty times as long.
    count, labels = cv2.connectedComponents(grown[near], connectivity=8, ltype=cv2.CV_32S)
    sizes = np.bincount(labels[moved[near] > 0], minlength=count).tolist()
    found: list[Region] = []
    for part in sorted(range(1, count), key=sizes.__getitem__, reverse=True)[:MOST_REGIONS]:
        if sizes[part] == 0 or (found and sizes[part] < least):
            break
        left, top, across, down = cv2.boundingRect((labels == part).view(np.uint8))
        left, top = left + x0, top + y0
        x, y = left * width // small_width, top * height // small_height
        right, bottom = -(-(left + across) * width // small_width), -(-(top + down) * height // small_height)
        found.append(Region(x, y, right - x, bottom - y, sizes[part] / sum(sizes)))
    return tuple(found)
