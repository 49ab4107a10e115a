"""A stranger's bytes -> one picture; the header is read and judged before anything is decoded.

A JPEG of 7 MB can hold 256 megapixels. Only a picture within the limits reaches the decoder.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import ConfigError, ImageError
from edge_sdk.images.decoder import decode_pixels
from edge_sdk.images.exif import parse_exif
from edge_sdk.images.header import ImageHeader, read_header
from edge_sdk.images.read import orient
from edge_sdk.types import Image

FORMATS = ("JPEG", "PNG", "WebP")
_MAX_SCANS = 100  # a progressive JPEG has about ten
_MAX_SCANS_AT_FULL_SIZE = 16
_PNG_DEPTH = slice(24, 25)  # where the header says how many bits a channel has


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """A picture that came decoded, upright, in RGB.

    Attributes:
        values: `uint8 (H, W, 3)`, or `float32 (3, H, W)` from 0 to 1.
    """

    values: NDArray[np.uint8] | NDArray[np.float32]

    def __len__(self) -> int:
        return self.values.nbytes

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        height, width = self.values.shape[:2] if self.values.dtype == np.uint8 else self.values.shape[1:]
        return width, height

    def image(self) -> Image:
        """As `uint8 (H, W, 3)`; floats are rounded to 8 bits.

        Raises:
            ImageError: a float is not from 0 to 1.
        """
        values = self.values
        if values.dtype == np.uint8:
            return np.ascontiguousarray(values, np.uint8)
        low, high = float(values.min()), float(values.max())
        if not (low >= 0 and high <= 1):  # NaN is refused too
            raise ImageError(f"expected floats from 0 to 1, not normalised; got {low:g} to {high:g}")
        return np.ascontiguousarray(np.rint(values.transpose(1, 2, 0) * 255), np.uint8)


Picture = bytes | Pixels
"""A picture on its way to the model: an encoded file, or pixels."""


class TooLarge(ImageError):
    """A picture is over the limit on bytes or on pixels."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest picture that is decoded.

    Attributes:
        max_bytes: of the encoded picture.
        max_pixels: width x height of the decoded one; decoding takes 3 bytes for each.
    """

    max_bytes: int = 8 << 20
    max_pixels: int = 32_000_000

    def __post_init__(self) -> None:
        if self.max_bytes < 1 or self.max_pixels < 1:
            raise ConfigError(f"expected positive limits; got {self.max_bytes} bytes and {self.max_pixels} pixels")


def check(data: bytes, limits: Limits) -> ImageHeader:
    """Check format, size, number of scans and completeness, without decoding.

    Raises:
        TooLarge: over a limit.
        ImageError: not a JPEG, PNG or WebP, damaged, or cut off.
    """
    if len(data) > limits.max_bytes:
        raise TooLarge(f"expected a picture of at most {limits.max_bytes:,} bytes; got {len(data):,}")
    header = read_header(data, FORMATS)
    pixels = header.width * header.height
    if pixels > limits.max_pixels:
        raise TooLarge(
            f"expected a picture of at most {limits.max_pixels:,} pixels; got {header.width}x{header.height}, "
            f"{pixels:,} pixels"
        )
    half = limits.max_pixels // 2
    if header.format == "PNG" and data[_PNG_DEPTH] == b"\x10" and pixels > half:
        raise TooLarge(f"expected a PNG of 16 bits of at most {half:,} pixels; got {header.width}x{header.height}")
    # Each scan of a progressive JPEG goes over all pixels: 8 MB can hold scans enough for minutes of decoding.
    max_scans = min(_MAX_SCANS, _MAX_SCANS_AT_FULL_SIZE * limits.max_pixels // pixels)
    if header.scans > max_scans:
        raise TooLarge(f"expected a JPEG of at most {max_scans} scans at this size; got {header.scans}")
    if not header.complete:  # some decoders paint what is missing in grey and report success
        raise ImageError(f"expected a whole picture; this {header.format} of {len(data):,} bytes was cut off")
    return header


def _check_pixels(pixels: Pixels, limits: Limits) -> None:
    width, height = pixels.size
    if width * height > limits.max_pixels:
        raise TooLarge(f"expected a picture of at most {limits.max_pixels:,} pixels; got {width}x{height}")


def weigh(data: Picture, limits: Limits) -> int:
    """Bytes of memory that decoding a picture takes, estimated from above, without decoding.

    A JPEG of one scan is decoded row by row, and its result is copied once. One of many scans is held whole as
    coefficients; PNG and WebP may be held with alpha or 16 bits beside the result.

    Raises:
        TooLarge, ImageError: as `check`.
    """
    if isinstance(data, Pixels):
        _check_pixels(data, limits)
        return 0 if data.values.dtype == np.uint8 else 3 * len(data)
    header = check(data, limits)
    per_pixel = 6 if header.format == "JPEG" and header.scans <= 1 else 12
    return header.width * header.height * (per_pixel + (3 if header.exif else 0))


def decode(data: Picture, limits: Limits) -> Image:
    """Decode one picture: `uint8 (H, W, 3)` RGB, turned upright by its EXIF orientation; grey becomes three channels.

    Pixels are taken as they are.

    Raises:
        TooLarge: over a limit; nothing was decoded.
        ImageError: not a JPEG, PNG or WebP, cut off, or damaged.
    """
    if isinstance(data, Pixels):
        _check_pixels(data, limits)
        return data.image()
    header = check(data, limits)
    return orient(decode_pixels(data, header), parse_exif(header.exif).orientation)
