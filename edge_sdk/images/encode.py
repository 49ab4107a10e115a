"""A frame's picture into JPEG or WebP bytes for the wire."""

from __future__ import annotations

from typing import NamedTuple

import cv2

from edge_sdk.errors import ConfigError, ImageError
from edge_sdk.images.geometry import centre_crop
from edge_sdk.images.rendition import MIN_SIDE, Upload
from edge_sdk.images.scale import scale
from edge_sdk.types import Image, check_image


class _Kind(NamedTuple):
    """A format as OpenCV knows it."""

    name: str
    suffix: str
    flag: int
    max_side: int


_KINDS = {
    "jpeg": _Kind("JPEG", ".jpg", cv2.IMWRITE_JPEG_QUALITY, 65_535),
    "webp": _Kind("WebP", ".webp", cv2.IMWRITE_WEBP_QUALITY, 16_383),
}


def fit_size(width: int, height: int, max_side: int) -> tuple[int, int]:
    """Width and height with the longer side at most `max_side` and the same proportions; never enlarged, at least 1."""
    longer = max(width, height)
    if longer <= max_side:
        return width, height
    return max(1, round(width * max_side / longer)), max(1, round(height * max_side / longer))


def shrink(image: Image, size: tuple[int, int]) -> Image:
    """Average a picture down to `size` (width, height), each at most the picture's own; the same on every processor."""
    return scale(image, *size)


def encode(image: Image, upload: Upload) -> bytes:
    """Cut, shrink and encode a picture as JPEG (baseline, 4:2:0) or lossy WebP, without any metadata.

    The same picture gives the same bytes on the same version of OpenCV. WebP is smaller than JPEG at equal quality and
    costs four to thirty times the processor time (`edge-sdk ladder` measures both).

    Args:
        image: `uint8 (H, W, 3)` RGB.
        upload: crop, longest side, quality, format; a smaller picture keeps its size.

    Raises:
        ConfigError: a value of `upload` is out of range.
        ImageError: `image` is not an image, or is too long for the format (JPEG ends at 65,535 pixels a side, WebP at
            16,383).
    """
    _check(upload)
    image = check_image(image)
    if upload.crop is not None:
        image = centre_crop(image, *upload.crop)
    size = fit_size(image.shape[1], image.shape[0], upload.max_side)
    kind = _KINDS[upload.format]
    what = f"an image of {size[0]}x{size[1]} cannot be encoded as {kind.name}"
    if max(size) > kind.max_side:
        raise ImageError(f"{what}: expected sides of at most {kind.max_side:,} pixels")
    bgr = cv2.cvtColor(shrink(image, size), cv2.COLOR_RGB2BGR)
    try:
        done, encoded = cv2.imencode(kind.suffix, bgr, [kind.flag, upload.quality])
    except cv2.error as error:
        raise ImageError(f"{what}: {error.err}") from error
    if not done:
        raise ImageError(what)
    return encoded.tobytes()


def _check(upload: Upload) -> None:
    """A policy that was read from a file is in range; one that a program made need not be."""
    side, quality = upload.max_side, upload.quality
    if not isinstance(side, int) or side < MIN_SIDE:
        raise ConfigError(f"expected max_side as a whole number of pixels, at least {MIN_SIDE}; got {side!r}")
    if not isinstance(quality, int) or not 1 <= quality <= 100:
        raise ConfigError(f"expected a quality from 1 to 100; got {quality!r}")
    if upload.format not in _KINDS:
        raise ConfigError(f"expected a format of {', '.join(_KINDS)}; got {upload.format!r}")
    if upload.crop is not None and min(upload.crop) < 1:
        raise ConfigError(f"expected a crop of two numbers of 1 or more; got {upload.crop!r}")
