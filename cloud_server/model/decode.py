"""Bytes from a stranger -> one picture, with the header read and judged before anything is decoded.

A JPEG of 7 MB can hold 256 megapixels, so size and format come from the first bytes alone (`image_size`); only a
picture within the limits reaches the decoder.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from edge_sdk.errors import ConfigError, ImageError
from edge_sdk.types import Image

_PNG = b"\x89PNG\r\n\x1a\n"
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # "start of frame"; the three are tables and a reserved code
_MARKER = re.compile(rb"\xff[^\x00\xff]")
_MAX_SEGMENTS = 4096  # 64 KB each: what no honest picture needs
_MAX_SCANS = 100  # a progressive JPEG has some ten
_MAX_SCANS_AT_FULL_SIZE = 16
_BARE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a length


class TooLarge(ImageError):
    """A picture is over the limit on bytes or on pixels."""


class Header(NamedTuple):
    """What the first bytes of a picture say; `width` and `height` in pixels, before any EXIF rotation."""

    width: int
    height: int
    format: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What is let in.

    Attributes:
        max_bytes: of the encoded picture.
        max_pixels: width x height of the decoded one; decoding takes 3 bytes for each.
    """

    max_bytes: int = 8 << 20
    max_pixels: int = 32_000_000

    def __post_init__(self) -> None:
        if self.max_bytes < 1 or self.max_pixels < 1:
            raise ConfigError(f"expected positive limits; got {self.max_bytes} bytes and {self.max_pixels} pixels")


def image_size(data: bytes) -> Header:
    """Width, height and format ("JPEG", "PNG" or "WebP") of an encoded picture; nothing is decoded.

    Raises:
        ImageError: another format, or a header that is damaged, cut off or says that a side is 0 pixels.
    """
    try:
        if data[:2] == b"\xff\xd8":
            header = _jpeg(data)
        elif data[:8] == _PNG:
            header = _png(data)
        elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            header = _webp(data)
        else:
            came = f"{len(data)} bytes that start {data[:8].hex(' ')}" if data else "no bytes"
            raise ImageError(f"expected a JPEG, PNG or WebP picture; got {came}")
    except (IndexError, struct.error):
        raise ImageError(f"expected a whole picture; its header breaks off within {len(data)} bytes") from None
    if header.width == 0 or header.height == 0:
        raise ImageError(
            f"expected a picture with pixels; the {header.format} header says {header.width}x{header.height}"
        )
    return header


def check(data: bytes, limits: Limits) -> Header:
    """Judge a picture by its header and its end, without decoding it.

    Raises:
        TooLarge: over a limit.
        ImageError: not a picture, or one that was cut off.
    """
    if len(data) > limits.max_bytes:
        raise TooLarge(f"expected a picture of at most {limits.max_bytes:,} bytes; got {len(data):,}")
    header = image_size(data)
    if header.width * header.height > limits.max_pixels:
        raise TooLarge(
            f"expected a picture of at most {limits.max_pixels:,} pixels; got {header.width}x{header.height}, "
            f"{header.width * header.height:,} pixels"
        )
    if header.format == "JPEG":
        _check_scans(data, header, limits)
    if not _is_whole(data, header.format):
        raise ImageError(f"expected a whole picture; this {header.format} of {len(data):,} bytes was cut off")
    return header


def decode(data: bytes, limits: Limits) -> Image:
    """Decode one picture: `uint8 (H, W, 3)` RGB, turned upright by its EXIF orientation; grey becomes three channels.

    Raises:
        TooLarge: over a limit; nothing was decoded.
        ImageError: not a JPEG, PNG or WebP, cut off, or damaged.
    """
    header = check(data, limits)
    what = f"this {header.format} of {header.width}x{header.height}"
    try:
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ImageError(f"cannot decode {what}: {error.err}") from error
    if bgr is None or bgr.ndim != 3 or 0 in bgr.shape:
        raise ImageError(f"cannot decode {what}: its data is damaged")
    if bgr.shape[0] * bgr.shape[1] != header.width * header.height:
        raise ImageError(f"expected {what}, as its header says; the decoder found {bgr.shape[1]}x{bgr.shape[0]}")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def _check_scans(data: bytes, header: Header, limits: Limits) -> None:
    """Each scan of a progressive JPEG goes over all pixels: 8 MB can hold scans enough for minutes of decoding."""
    scans = data.count(b"\xff\xda", _jpeg_frame_at(data))
    most = min(_MAX_SCANS, _MAX_SCANS_AT_FULL_SIZE * limits.max_pixels // (header.width * header.height))
    if scans > most:
        raise TooLarge(f"expected a JPEG of at most {most} scans at this size; got {scans}")


def _jpeg(data: bytes) -> Header:
    height, width = struct.unpack_from(">HH", data, _jpeg_frame_at(data) + 3)
    return Header(width, height, "JPEG")


def _jpeg_frame_at(data: bytes) -> int:
    """Where the first start-of-frame segment is, found as libjpeg does (it skips stray bytes before a marker)."""
    at = 2
    for _ in range(_MAX_SEGMENTS):
        found = _MARKER.search(data, at)
        if found is None:
            raise IndexError
        marker, at = data[found.end() - 1], found.end()
        if marker in _SOF:
            return at
        if marker in (0xD8, 0xD9, 0xDA):
            raise ImageError("expected a JPEG with a frame header; its data starts, starts again or ends before one")
        if marker not in _BARE:
            (length,) = struct.unpack_from(">H", data, at)
            if length < 2:
                raise ImageError(f"expected a JPEG segment of at least 2 bytes; marker {marker:#04x} says {length}")
            at += length
    raise ImageError(f"expected a JPEG with a frame header; there is none in its first {_MAX_SEGMENTS} segments")


def _png(data: bytes) -> Header:
    length, kind, width, height = struct.unpack_from(">I4sII", data, 8)
    if kind != b"IHDR" or length != 13:
        raise ImageError(f"expected a PNG that starts with IHDR of 13 bytes; got {kind!r} of {length}")
    return Header(width, height, "PNG")


def _webp(data: bytes) -> Header:
    kind = data[12:16]
    if kind == b"VP8X":
        flags_and_size = data[20:30]
        if len(flags_and_size) < 10:
            raise IndexError
        width = 1 + int.from_bytes(flags_and_size[4:7], "little")
        height = 1 + int.from_bytes(flags_and_size[7:10], "little")
        return Header(width, height, "WebP")
    if kind == b"VP8L":
        signature, bits = struct.unpack_from("<BI", data, 20)
        if signature != 0x2F:
            raise ImageError(f"expected a lossless WebP with signature 0x2f; got {signature:#04x}")
        return Header(1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF), "WebP")
    if kind == b"VP8 ":
        start, width, height = struct.unpack_from("<3sHH", data, 23)
        if start != b"\x9d\x01\x2a":
            raise ImageError("expected a lossy WebP with a key frame; its start code is missing")
        return Header(width & 0x3FFF, height & 0x3FFF, "WebP")
    if len(kind) < 4:
        raise IndexError
    raise ImageError(f"expected a WebP with a VP8, VP8L or VP8X chunk; got {kind!r}")


def _is_whole(data: bytes, format: str) -> bool:
    """Whether the end of the picture has come; some decoders paint what is missing in grey and call it a success."""
    if format == "JPEG":  # an EXIF thumbnail has an end of its own, before the frame
        return data.find(b"\xff\xd9", _jpeg_frame_at(data)) >= 0
    if format == "PNG":
        return _png_ends(data)
    return len(data) >= int.from_bytes(data[4:8], "little") + 8


def _png_ends(data: bytes) -> bool:
    """Walk the chunks to the end mark, and compare the checksums of critical ones: libpng would write to stderr."""
    at = len(_PNG)
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 8 + length
        if end + 4 > len(data):
            return False
        if kind[:1].isupper() and zlib.crc32(data[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            raise ImageError(f"expected a sound PNG; the checksum of its {kind!r} chunk is wrong")
        if kind == b"IEND":
            return True
        at = end + 4
    return False
