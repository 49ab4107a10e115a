"""Format, size, EXIF block and completeness of an image file, read from its bytes without decoding a pixel."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from edge_sdk.errors import ImageError
from edge_sdk.images.exif import read_ifd

# A JPEG marker that ends entropy-coded data: not a stuffed zero, not a restart marker (D0-D7), not a fill byte.
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_BARE = frozenset({0x01, 0xD8, *range(0xD0, 0xD8)})
_NOT_FRAME = frozenset({0xC4, 0xC8, 0xCC})
_EOI, _SOS, _APP1 = 0xD9, 0xDA, 0xE1


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What an image file says of itself.

    Attributes:
        format: `JPEG`, `PNG`, `WebP`, `BMP` or `TIFF`.
        width: pixels per row as stored, before any rotation.
        height: rows as stored.
        exif: the EXIF block from its TIFF header on; empty where there is none.
        complete: False where the file ends before its own end mark.
    """

    format: str
    width: int
    height: int
    exif: bytes = b""
    complete: bool = True


def read_header(data: bytes) -> ImageHeader:
    """Read the header of a JPEG, PNG, WebP, BMP or TIFF file.

    Args:
        data: the whole file.

    Raises:
        ImageError: the bytes are of none of these formats, or end or break within the header.
    """
    for magic, name, parse in _FORMATS:
        if magic.match(data):
            try:
                header = parse(data)
            except (struct.error, IndexError):
                raise ImageError(
                    f"the {name} file is truncated: it ends within its header ({len(data)} bytes)"
                ) from None
            if header.width < 1 or header.height < 1:
                raise ImageError(f"the {name} file is truncated or broken: its size is {header.width}x{header.height}")
            return header
    came = "an empty file" if not data else f"a file that starts with {data[:8].hex(' ')}"
    raise ImageError(f"expected a JPEG, PNG, WebP, BMP or TIFF image; got {came}")


def _jpeg(data: bytes) -> ImageHeader:
    width = height = 0
    exif = b""
    position = 2
    while match := _MARKER.search(data, position):
        marker, position = data[match.start() + 1], match.end()
        if marker == _EOI:
            return ImageHeader("JPEG", width, height, exif)
        if marker in _BARE:
            continue
        (length,) = struct.unpack_from(">H", data, position)
        if 0xC0 <= marker <= 0xCF and marker not in _NOT_FRAME:
            height, width = struct.unpack_from(">HH", data, position + 3)
        elif marker == _APP1 and not exif and data[position + 2 : position + 8] == b"Exif\0\0":
            exif = data[position + 8 : position + length]
        elif marker == _SOS and not width:
            break
        position += length
    if not width:
        raise ImageError(f"the JPEG file is truncated or broken: no frame header in {len(data)} bytes")
    return ImageHeader("JPEG", width, height, exif, complete=False)


def _png(data: bytes) -> ImageHeader:
    width, height = struct.unpack_from(">II", data, 16)
    exif = b""
    position = 8
    while position + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        if kind == b"IEND":
            return ImageHeader("PNG", width, height, exif)
        if kind == b"eXIf":
            exif = data[position + 8 : position + 8 + length]
        position += 12 + length
    return ImageHeader("PNG", width, height, exif, complete=False)


def _webp(data: bytes) -> ImageHeader:
    (length,) = struct.unpack_from("<I", data, 4)
    width = height = 0
    exif = b""
    position = 12
    while position + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, position)
        body = position + 8
        if kind == b"VP8X":
            width = int.from_bytes(data[body + 4 : body + 7], "little") + 1
            height = int.from_bytes(data[body + 7 : body + 10], "little") + 1
        elif kind == b"VP8 " and not width:
            width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, body + 6))
        elif kind == b"VP8L" and not width:
            (bits,) = struct.unpack_from("<I", data, body + 1)
            width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        elif kind == b"EXIF":
            exif = data[body : body + size].removeprefix(b"Exif\0\0")
        position = body + size + (size & 1)
    return ImageHeader("WebP", width, height, exif, complete=len(data) >= length + 8)


def _bmp(data: bytes) -> ImageHeader:
    (header_size,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if header_size == 12 else "<ii", data, 18)
    return ImageHeader("BMP", width, abs(height))


def _tiff(data: bytes) -> ImageHeader:
    tags = read_ifd(data)
    width, height = tags.get(256, 0), tags.get(257, 0)
    if not isinstance(width, int) or not isinstance(height, int) or not width or not height:
        raise ImageError(f"the TIFF file is truncated or broken: no image size in {len(data)} bytes")
    return ImageHeader("TIFF", width, height, exif=data)


_FORMATS = (
    (re.compile(rb"\xff\xd8"), "JPEG", _jpeg),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "PNG", _png),
    (re.compile(rb"RIFF[\0-\xff]{4}WEBP"), "WebP", _webp),
    (re.compile(rb"BM"), "BMP", _bmp),
    (re.compile(rb"II\*\0|MM\0\*"), "TIFF", _tiff),
)
