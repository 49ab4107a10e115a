"""An image file's bytes into pixels: of the size that its header says, whole, and with no word on standard error.

JPEG is decoded by libjpeg-turbo through simplejpeg, which tells what libjpeg warns of: a picture that was cut off and
goes on with other bytes, of which libjpeg makes a picture half grey. The other formats are OpenCV's.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import ImageError
from edge_sdk.images.header import ImageHeader
from edge_sdk.images.opencv_log import SILENT, log_level, set_log_level
from edge_sdk.images.png import plain_png
from edge_sdk.types import Image

try:
    import simplejpeg
except (ImportError, ValueError):  # ValueError: a distribution's build for numpy 1 beside numpy 2
    simplejpeg = None

_ALPHA_FORMATS = frozenset({"PNG", "WebP"})
_PADDING_BYTES = 16
_STRIP_PIXELS = 1 << 20
# What libjpeg says of data that is not what an encoder wrote. Its other warnings are about harmless fields.
_DAMAGE = re.compile(r"Corrupt JPEG data|Premature end|Invalid JPEG file structure")
_EXTRA = re.compile(r"Corrupt JPEG data: (\d+) extraneous bytes before marker")
# A major version of JFIF that libjpeg does not know ends simplejpeg's decoder, though nothing depends on it.
_ODD_VERSION = re.compile(rb"\xff\xd8\xff\xe0[\0-\xff]{2}JFIF\0[^\1\2]")
_VERSION_AT = 11


def decode_pixels(data: bytes, header: ImageHeader) -> Image:
    """Decode a whole image file of any of the formats that are read.

    Args:
        data: the whole file.
        header: what `read_header` says of it. Its size was found to be within limits.

    Returns:
        `uint8 (H, W, 3)` RGB as stored (a TIFF: turned upright, as OpenCV does).

    Raises:
        ImageError: the data is damaged, or is of another size than the header says.
    """
    if header.format == "JPEG" and simplejpeg is not None:
        image = _decode_jpeg(data, header)
    else:
        image = to_rgb(_decode_with_opencv(data, header))
    height, width = image.shape[:2]
    if sorted((width, height)) != sorted((header.width, header.height)):
        raise ImageError(f"expected {header.width}x{header.height}, as the header says; got {width}x{height}")
    return image


def _decode_jpeg(data: bytes, header: ImageHeader) -> Image:
    if _ODD_VERSION.match(data):
        data = data[:_VERSION_AT] + b"\1" + data[_VERSION_AT + 1 :]
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data, strict=False)
    except (ValueError, KeyError) as error:  # KeyError: colours sampled as no encoder samples them
        raise _broken(header, f"its header cannot be used ({error})") from None
    if (width, height) != (header.width, header.height):
        raise ImageError(f"expected a JPEG of {header.width}x{header.height}; its decoder finds {width}x{height}")
    if colours not in ("YCbCr", "Gray", "RGB"):
        return _decode_cmyk(data, header)
    return _listen(data, header, "RGB")


def _listen(data: bytes, header: ImageHeader, colours: str) -> Image:
    try:
        return np.asarray(simplejpeg.decode_jpeg(data, colours, strict=True), np.uint8)
    except ValueError as error:
        said = str(error)
    extra = _EXTRA.match(said)
    if _DAMAGE.match(said) and not (extra and int(extra[1]) <= _PADDING_BYTES):  # some encoders fill up a word
        raise _broken(header, said)
    try:
        return np.asarray(simplejpeg.decode_jpeg(data, colours, strict=False), np.uint8)
    except ValueError:
        raise _broken(header, said) from None


def _decode_cmyk(data: bytes, header: ImageHeader) -> Image:
    """As Adobe writes them: inverted."""

    def convert(cmyk: NDArray[Any]) -> NDArray[Any]:
        return (cmyk[..., :3] * cmyk[..., 3:].astype(np.uint16) + 127) // 255

    return _in_strips(_listen(data, header, "CMYK"), convert)


def _decode_with_opencv(data: bytes, header: ImageHeader) -> NDArray[Any]:
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    if header.format in _ALPHA_FORMATS:
        flags = cv2.IMREAD_UNCHANGED
    if header.format == "PNG":
        data = plain_png(data)
    try:
        with _quiet_opencv:
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise ImageError(f"the {header.format} file cannot be decoded: {error.err}") from error
    if pixels is None:
        raise _broken(header, f"{len(data)} bytes that cannot be decoded")
    return pixels


def to_rgb(pixels: NDArray[np.integer[Any] | np.floating[Any]]) -> Image:
    """`uint8` or `uint16`, grey, BGR or BGRA, into an `Image`."""
    return _in_strips(pixels, _strip_to_rgb)


def _in_strips(pixels: NDArray[Any], convert: Callable[[NDArray[Any]], NDArray[Any]]) -> Image:
    """A picture converted some rows at a time: what the steps between take is small, however large it is."""
    height, width = pixels.shape[:2]
    rows = max(1, _STRIP_PIXELS // max(1, width))
    if height <= rows:
        return np.asarray(convert(pixels), np.uint8)
    image = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, rows):
        image[top : top + rows] = convert(pixels[top : top + rows])
    return image


def _strip_to_rgb(pixels: NDArray[Any]) -> Image:
    if pixels.dtype == np.uint16:
        pixels = cv2.convertScaleAbs(pixels, alpha=1 / 257)
    elif pixels.dtype != np.uint8:
        raise ImageError(f"expected 8 or 16 bits per channel; got {pixels.dtype}")
    if pixels.ndim == 2:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB), np.uint8)
    if pixels.shape[2] == 3:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)
    if pixels.shape[2] != 4:
        raise ImageError(f"expected 1, 3 or 4 channels; got {pixels.shape[2]}")
    rgba = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA), np.uint8)
    image = np.ascontiguousarray(rgba[:, :, :3])
    alpha = rgba[:, :, 3:]
    if alpha.min() < 255:
        opacity = alpha.astype(np.float32) / 255
        image = np.rint(image * opacity + 255 * (1 - opacity)).astype(np.uint8)
    return image


class _QuietOpenCV:
    """OpenCV logs nothing while any thread is within; then its level is what it was."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = self._level = 0

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._level = log_level()
                set_log_level(SILENT)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                set_log_level(self._level)


_quiet_opencv = _QuietOpenCV()


def _broken(header: ImageHeader, why: str) -> ImageError:
    return ImageError(f"the {header.format} file is truncated or broken: {why}")
