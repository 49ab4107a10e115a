"""Parts of a picture made unrecognisable: the mean colour of a few large cells is all that is left of them.

Not a Gaussian blur: that is a convolution with a known kernel, which rounding to 8 bits alone keeps from being undone,
and deconvolution brings much of it back. Here the pixels of a cell are replaced by their mean, and nothing else of them
is left to bring back. What is left can still be compared: McPherson, Shokri, Shmatikov, "Defeating Image Obfuscation
with Deep Learning" (arXiv 1609.00408), tell known faces apart behind fine mosaics. Hence few cells.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from edge_sdk.images.scale import scale
from edge_sdk.types import Image, Region


def pixelate(image: Image, regions: Iterable[Region], cells: int, *, margin: float = 0.0) -> Image:
    """A copy of a picture, `uint8 (H, W, 3)`, in which regions are replaced by the mean colours of their cells.

    Args:
        image: the picture.
        regions: boxes in its pixels; what lies outside is left out.
        cells: cells along a box's longer side, 1 or more; the cells are about square.
        margin: on each side of a box, in widths or heights of it.
    """
    shown = image.copy()
    height, width = image.shape[:2]
    for region in regions:
        across, down = round(margin * region.width), round(margin * region.height)
        left, top = max(0, region.x - across), max(0, region.y - down)
        right = min(width, region.x + region.width + across)
        bottom = min(height, region.y + region.height + down)
        if left < right and top < bottom:
            part = shown[top:bottom, left:right]
            part[:] = _mosaic(np.ascontiguousarray(part), cells)
    return shown


def _mosaic(part: Image, cells: int) -> Image:
    height, width = part.shape[:2]
    longer = max(width, height)
    few = tuple(min(side, max(1, round(side * cells / longer))) for side in (width, height))
    return cv2.resize(scale(part, few[0], few[1]), (width, height), interpolation=cv2.INTER_NEAREST).astype(np.uint8)
