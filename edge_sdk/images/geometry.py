"""The centre of a picture, cut to given proportions; in integers, so that every processor cuts the same."""

from __future__ import annotations

from edge_sdk.types import Image


def inside(width: int, height: int, across: int, down: int) -> tuple[int, int]:
    """The largest size within `width` x `height` that has the proportions `across` to `down`, all 1 or more.

    One side is that of the whole; the other is the nearest whole number, halves up, and at least 1.
    """
    if width * down <= height * across:
        return width, max(1, (2 * width * down + across) // (2 * across))
    return max(1, (2 * height * across + down) // (2 * down)), height


def centre_crop(image: Image, width: int, height: int) -> Image:
    """The largest centred part of a picture that has the proportions `width` to `height`.

    Args:
        image: `uint8 (H, W, 3)`.
        width: 1 or more; with `height`, proportions in any unit.
        height: 1 or more.

    Returns:
        a view of `image`; each side is at least 1 pixel and at most half a pixel off the exact proportions.
    """
    image_height, image_width = image.shape[:2]
    cut_width, cut_height = inside(image_width, image_height, width, height)
    left, top = (image_width - cut_width) // 2, (image_height - cut_height) // 2
    return image[top : top + cut_height, left : left + cut_width]
