"""Scaling rule 1, of bundles and checkpoints that name no rule: OpenCV scales, and its version and processor decide."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_sdk.types import Image


def crop_halved(image: Image, width: int, height: int) -> Image:
    """The centre of a picture, cut to the proportions of `width` to `height` and scaled to that size."""
    image_height, image_width = image.shape[:2]
    ratio = min(image_width / width, image_height / height)
    cut_width, cut_height = max(1, round(width * ratio)), max(1, round(height * ratio))
    left, top = (image_width - cut_width) // 2, (image_height - cut_height) // 2
    return halve(np.ascontiguousarray(image[top : top + cut_height, left : left + cut_width]), width, height)


def fit_halved(image: Image, width: int, height: int, fill: tuple[int, int, int]) -> Image:
    """A picture scaled to fit into `width` x `height`, with `fill` around it."""
    image_height, image_width = image.shape[:2]
    ratio = max(image_width / width, image_height / height)
    fit_width, fit_height = max(1, round(image_width / ratio)), max(1, round(image_height / ratio))
    left, top = (width - fit_width) // 2, (height - fit_height) // 2
    out = np.empty((height, width, 3), np.uint8)
    out[:] = fill
    out[top : top + fit_height, left : left + fit_width] = halve(image, fit_width, fit_height)
    return out


def halve(image: Image, width: int, height: int) -> Image:
    """Means of 2x2 squares for as long as the picture stays at least as large as the target, then bilinear."""
    pixels: NDArray[Any] = image
    while pixels.shape[1] >= 2 * width and pixels.shape[0] >= 2 * height:
        even = pixels[: pixels.shape[0] // 2 * 2, : pixels.shape[1] // 2 * 2]
        pixels = cv2.resize(even, (even.shape[1] // 2, even.shape[0] // 2), interpolation=cv2.INTER_AREA)
    if pixels.shape[:2] != (height, width):
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(pixels)
