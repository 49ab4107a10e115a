"""Any image file into an `Image`: upright, 8 bit, RGB, whole, or a clear `ImageError`."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from pathlib import Path

import cv2
import numpy as np

from edge_sdk.durable.files import IrregularFile, open_regular
from edge_sdk.errors import ImageError
from edge_sdk.images.decoder import decode_pixels
from edge_sdk.images.exif import Exif, parse_exif
from edge_sdk.images.header import read_header
from edge_sdk.types import Image

MAX_PIXELS = 100_000_000
MAX_FILE_BYTES = 1_000_000_000
"""Largest image file that is read; 100 megapixels of 16 bits per channel take 600 MB as they are."""
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".tif", ".tiff"})
"""File name endings, in lower case, of the formats that are read."""


@dataclass(frozen=True, slots=True, eq=False)
class LoadedImage:
    """One decoded file.

    Attributes:
        image: `uint8 (H, W, 3)` RGB, turned upright.
        exif: what the camera wrote beside the pixels.
    """

    image: Image
    exif: Exif = field(default_factory=Exif)

    @property
    def captured_at(self) -> datetime | None:
        """The capture time that the file holds, with a time zone, or None."""
        return self.exif.captured_at


def read_image(path: Path | str, *, max_pixels: int = MAX_PIXELS, zone: tzinfo | None = None) -> LoadedImage:
    """Read one image file.

    Args:
        path: a JPEG, PNG, WebP, BMP or TIFF file, whatever its name.
        max_pixels: largest width times height that is decoded.
        zone: time zone of capture times without one; None is the local zone.

    Raises:
        ImageError: the file cannot be read, is truncated or broken, is too large, or of another format. The message
            starts with the path.
    """
    data = _file_bytes(path)
    try:
        return decode_image(data, max_pixels=max_pixels, zone=zone)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from None


def _file_bytes(path: Path | str) -> bytes:
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_FILE_BYTES:
                limit = f"at most {MAX_FILE_BYTES // 1_000_000} MB"
                raise ImageError(f"{path}: expected an image file of {limit}; got {size / 1e6:,.0f} MB")
            return file.read()
    except IrregularFile:
        raise ImageError(f"{path}: expected an image file; got a folder, pipe or device") from None
    except (OSError, ValueError) as error:
        raise ImageError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def decode_image(data: bytes, *, max_pixels: int = MAX_PIXELS, zone: tzinfo | None = None) -> LoadedImage:
    """Decode one image file from memory.

    Greyscale and palette images become RGB; CMYK JPEGs are read as Adobe writes them (inverted); 16-bit values are
    scaled to 8 bit (`v / 257`, rounded); what is transparent in a PNG or WebP is laid over white, in other formats
    transparency is dropped. The size is checked in the header before anything is decoded. A file that ends before its
    own end mark is refused rather than shown half grey.

    Args:
        data: the whole file.
        max_pixels: largest width times height that is decoded.
        zone: time zone of capture times without one; None is the local zone.

    Raises:
        ImageError: see `read_image`.
    """
    header = read_header(data)
    if header.width * header.height > max_pixels:
        raise ImageError(
            f"expected at most {max_pixels / 1e6:g} megapixels; got {header.width}x{header.height} "
            f"({header.width * header.height / 1e6:.1f} megapixels)"
        )
    if not header.complete:
        raise ImageError(f"the {header.format} file is truncated: it ends before its end mark ({len(data)} bytes)")
    exif = parse_exif(header.exif, zone=zone)
    # OpenCV turns TIFF files itself, whatever the flag.
    orientation = 1 if header.format == "TIFF" else exif.orientation
    return LoadedImage(orient(decode_pixels(data, header), orientation), exif)


def orient(image: Image, orientation: int) -> Image:
    """Turn a stored image upright.

    Args:
        image: `uint8 (H, W, 3)` as stored.
        orientation: the EXIF number, 1 to 8 (EXIF 2.32, section 4.6.4).

    Returns:
        `uint8 (H, W, 3)`, or `(W, H, 3)` for the orientations 5 to 8.
    """
    match orientation:
        case 2:
            turned = cv2.flip(image, 1)
        case 3:
            turned = cv2.rotate(image, cv2.ROTATE_180)
        case 4:
            turned = cv2.flip(image, 0)
        case 5:
            turned = cv2.transpose(image)
        case 6:
            turned = cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE)
        case 7:
            turned = cv2.flip(cv2.transpose(image), -1)
        case 8:
            turned = cv2.rotate(image, cv2.ROTATE_90_COUNTERCLOCKWISE)
        case _:
            return image
    return np.asarray(turned, np.uint8)
