"""A frame as a small JPEG with the region and the answer drawn on it."""

from __future__ import annotations

import cv2
import numpy as np

from edge_sdk.images.encode import encode, fit_size, shrink
from edge_sdk.images.rendition import Upload
from edge_sdk.types import Image, Region

_QUALITY = 75
_BOX, _INK, _PAPER = (255, 214, 10), (24, 24, 24), (38, 43, 46)
_FONT, _SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.75


def drawn(image: Image, regions: tuple[Region, ...], text: str, side: int) -> bytes:
    """The picture, JPEG.

    Args:
        image: `uint8 (H, W, 3)` RGB; it is not changed.
        regions: in its pixels; one that is only held has a thin line.
        text: what is said of it; "" for nothing.
        side: longer side of the JPEG, pixels; a smaller picture keeps its size.
    """
    height, width = image.shape[:2]
    size = fit_size(width, height, side)
    shown = np.array(shrink(image, size))
    factor = size[0] / width
    for region in regions:
        corner = round(region.x * factor), round(region.y * factor)
        end = round((region.x + region.width) * factor) - 1, round((region.y + region.height) * factor) - 1
        cv2.rectangle(shown, corner, end, _INK, 1 if region.held else 4, cv2.LINE_AA)
        cv2.rectangle(shown, corner, end, _BOX, 1 if region.held else 2, cv2.LINE_AA)
    if text:
        first = regions[0] if regions else None
        _tag(shown, text, (0, 0) if first is None else (round(first.x * factor), round(first.y * factor)))
    return encode(shown, Upload(max_side=side, quality=_QUALITY))


def notice(text: str, size: tuple[int, int]) -> bytes:
    """A grey picture that says why there is no other, JPEG.

    Args:
        text: a few words.
        size: width and height, pixels.
    """
    shown = np.full((size[1], size[0], 3), _PAPER, np.uint8)
    scale = 1.0
    while scale > 0.3 and cv2.getTextSize(text, _FONT, scale, 1)[0][0] > size[0] * 0.9:
        scale -= 0.05
    (width, height), _ = cv2.getTextSize(text, _FONT, scale, 1)
    place = (size[0] - width) // 2, (size[1] + height) // 2
    cv2.putText(shown, text, place, _FONT, scale, (200, 205, 208), 1, cv2.LINE_AA)
    return encode(shown, Upload(max_side=max(size), quality=_QUALITY))


def _tag(shown: Image, text: str, corner: tuple[int, int]) -> None:
    """Words on a box of their own, above `corner` where there is room, within the picture."""
    plain = "".join(one if " " <= one <= "~" else "?" for one in text)[:48]
    (width, height), below = cv2.getTextSize(plain, _FONT, _SCALE, 1)
    full = height + below + 10
    left = max(0, min(corner[0], shown.shape[1] - width - 12))
    top = corner[1] - full if corner[1] >= full else corner[1]
    top = max(0, min(top, shown.shape[0] - full))
    cv2.rectangle(shown, (left, top), (left + width + 11, top + full - 1), _BOX, cv2.FILLED)
    cv2.putText(shown, plain, (left + 6, top + height + 5), _FONT, _SCALE, _INK, 1, cv2.LINE_AA)
