"""A frame's picture into JPEG bytes for the wire."""

from __future__ import annotations

import cv2
import numpy as np

from edge_sdk.errors import ConfigError, ImageError
from edge_sdk.types import Image, check_image

MIN_SIDE = 16


def fit_size(width: int, height: int, max_side: int) -> tuple[int, int]:
    """Width and height with the longer side at most `max_side` and the same proportions; never enlarged, at least 1."""
    longer = max(width, height)
    if longer <= max_side:
        return width, height
    return max(1, round(width * max_side / longer)), max(1, round(height * max_side / longer))


def shrink(image: Image, size: tuple[int, int]) -> Image:
    """Average a picture down to `size` (width, height), each at most the picture's own."""
    height, width = image.shape[:2]
    # Exact halves first: they cost a tenth of one odd factor, and down to 1.5 times the size the picture is the same.
    while width % 2 == height % 2 == 0 and width >= 3 * size[0] and height >= 3 * size[1]:
        width, height = width // 2, height // 2
        image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    if (width, height) != size:
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    return image


def encode_jpeg(image: Image, *, max_side: int, quality: int) -> bytes:
    """Shrink a picture and encode it as baseline JPEG (4:2:0), without any metadata.

    Args:
        image: `uint8 (H, W, 3)` RGB.
        max_side: longest side in pixels, at least 16; a smaller picture keeps its size.
        quality: JPEG quality, 1 to 100.

    Raises:
        ConfigError: `max_side` or `quality` is out of range.
        ImageError: `image` is not an image, or cannot be encoded (JPEG ends at 65,535 pixels a side).
    """
    if not isinstance(max_side, int) or max_side < MIN_SIDE:
        raise ConfigError(f"expected max_side as a whole number of pixels, at least {MIN_SIDE}; got {max_side!r}")
    if not isinstance(quality, int) or not 1 <= quality <= 100:
        raise ConfigError(f"expected a JPEG quality from 1 to 100; got {quality!r}")
    image = check_image(image)
    size = fit_size(image.shape[1], image.shape[0], max_side)
    small = shrink(image, size)
    try:
        done, encoded = cv2.imencode(
            ".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
        )
    except cv2.error as error:
        raise ImageError(f"an image of {size[0]}x{size[1]} cannot be encoded as JPEG: {error.err}") from error
    if not done:
        raise ImageError(f"an image of {size[0]}x{size[1]} cannot be encoded as JPEG")
    return encoded.tobytes()
