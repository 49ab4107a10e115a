"""The centre of a picture, cut to given proportions."""

from __future__ import annotations

from edge_sdk.types import Image


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
    ratio = min(image_width / width, image_height / height)
    cut_width, cut_height = max(1, round(width * ratio)), max(1, round(height * ratio))
    left, top = (image_width - cut_width) // 2, (image_height - cut_height) // 2
    return image[top : top + cut_height, left : left + cut_width]
