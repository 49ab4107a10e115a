"""Format, size, EXIF block and completeness of an image file, read from its bytes without decoding a pixel.

The device and the cloud server share this parser. The server judges strangers' files with it, so it finds the same
size as the decoders do, and its work is bounded whatever the file holds.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Collection
from dataclasses import dataclass

from edge_sdk.errors import ImageError
from edge_sdk.images.exif import read_ifd
from edge_sdk.images.png import MAX_CHUNKS, SIGNATURE, chunks

# A JPEG marker that ends entropy-coded data: not a stuffed zero, not a restart marker (D0-D7), not a fill byte.
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_BARE = frozenset({0x01, *range(0xD0, 0xD8)})
_NOT_FRAME = frozenset({0xC4, 0xC8, 0xCC})
_SOI, _EOI, _SOS, _APP1 = 0xD8, 0xD9, 0xDA, 0xE1
_MAX_PARTS = MAX_CHUNKS
"""JPEG segments or WebP chunks of one file."""
# The start of a file of another picture, which no encoder writes by chance.
_OTHER_FILE = re.compile(
    rb"RIFF[\0-\xff]{4}WEBPVP8|\xff\xd8\xff[\xe0\xe1][\0-\xff]{2}(?:JFIF|Exif)\0|\x89PNG\r\n\x1a\n"
)


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What an image file says of itself.

    Attributes:
        format: `JPEG`, `PNG`, `WebP`, `BMP` or `TIFF`.
        width: pixels per row as stored, before any rotation.
        height: rows as stored.
        exif: the EXIF block from its TIFF header on; empty where there is none.
        complete: False where the file ends before its own end mark.
        scans: scans of a JPEG; a progressive one has about ten. Else 0.
    """

    format: str
    width: int
    height: int
    exif: bytes = b""
    complete: bool = True
    scans: int = 0


def read_header(data: bytes, formats: Collection[str] = ("JPEG", "PNG", "WebP", "BMP", "TIFF")) -> ImageHeader:
    """Read the header of an image file.

    Args:
        data: the whole file.
        formats: those that are accepted.

    Raises:
        ImageError: the bytes are of none of these formats, or end or break within the header.
    """
    for magic, name, parse in _FORMATS:
        if name in formats and magic.match(data):
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
    *others, last = formats
    raise ImageError(f"expected a {', '.join(others)} or {last} image; got {came}")


def _jpeg(data: bytes) -> ImageHeader:
    width = height = scans = 0
    exif = b""
    position = 2
    for _ in range(_MAX_PARTS):
        match = _MARKER.search(data, position)
        if match is None:
            break
        marker, position = data[match.start() + 1], match.end()
        if marker == _EOI and width:
            return ImageHeader("JPEG", width, height, exif, scans=scans)
        if marker in _BARE:
            continue
        if marker == _SOI:
            raise ImageError(
                f"the JPEG file is truncated or broken: another picture starts at byte {match.start()}, "
                "before this one has ended"
            )
        if marker in (_SOS, _EOI) and not width:
            break
        (length,) = struct.unpack_from(">H", data, position)
        if length < 2:
            raise ImageError(f"expected a JPEG segment of at least 2 bytes; marker {marker:#04x} says {length}")
        if 0xC0 <= marker <= 0xCF and marker not in _NOT_FRAME:
            if width:
                raise ImageError("expected a JPEG of one frame header; got a second one, of another picture")
            height, width = struct.unpack_from(">HH", data, position + 3)
            if not width or not height:
                break
        elif marker == _SOS:
            scans += 1
        elif marker == _APP1 and not exif and data[position + 2 : position + 8] == b"Exif\0\0":
            exif = data[position + 8 : position + length]
        position += length
    else:
        raise ImageError(f"expected a JPEG file of at most {_MAX_PARTS:,} segments; got more")
    if not width or not height:
        raise ImageError(
            f"the JPEG file is truncated or broken: no frame header with a size in {len(data)} bytes"
            + (f" (it says {width}x{height})" if width or height else "")
        )
    return ImageHeader("JPEG", width, height, exif, complete=False, scans=scans)


def _png(data: bytes) -> ImageHeader:
    length, first, width, height = struct.unpack_from(">I4sII", data, len(SIGNATURE))
    if first != b"IHDR" or length != 13:
        raise ImageError(f"expected a PNG that starts with IHDR of 13 bytes; got {first!r} of {length}")
    exif = b""
    for kind, start, end in chunks(data):
        if kind == b"IEND":
            return ImageHeader("PNG", width, height, exif)
        if kind == b"eXIf":
            exif = data[start:end]
    return ImageHeader("PNG", width, height, exif, complete=False)


def _webp(data: bytes) -> ImageHeader:
    (length,) = struct.unpack_from("<I", data, 4)
    width, height = _webp_size(data)
    exif = b""
    position = 12
    for _ in range(_MAX_PARTS):
        if position + 8 > len(data):
            return ImageHeader("WebP", width, height, exif, complete=len(data) >= length + 8)
        kind, size = struct.unpack_from("<4sI", data, position)
        if kind in (b"VP8 ", b"VP8L") and _OTHER_FILE.search(data, position + 8, position + 8 + size):
            raise ImageError("the WebP file is truncated or broken: another picture starts before this one has ended")
        if kind == b"EXIF":
            exif = data[position + 8 : position + 8 + size].removeprefix(b"Exif\0\0")
        position += 8 + size + (size & 1)
    raise ImageError(f"expected a WebP file of at most {_MAX_PARTS:,} chunks; got more")


def _webp_size(data: bytes) -> tuple[int, int]:
    """What the first chunk says, the one that decoders go by: of the canvas (VP8X) or of the only picture."""
    (kind,) = struct.unpack_from("4s", data, 12)
    if kind == b"VP8X":
        (sides,) = struct.unpack_from("6s", data, 24)
        return int.from_bytes(sides[:3], "little") + 1, int.from_bytes(sides[3:], "little") + 1
    if kind == b"VP8L":
        signature, bits = struct.unpack_from("<BI", data, 20)
        if signature != 0x2F:
            raise ImageError(f"expected a lossless WebP with signature 0x2f; got {signature:#04x}")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        start, width, height = struct.unpack_from("<3sHH", data, 23)
        if start != b"\x9d\x01\x2a":
            raise ImageError("expected a lossy WebP with a key frame; its start code is missing")
        return width & 0x3FFF, height & 0x3FFF
    raise ImageError(f"expected a WebP that starts with a VP8, VP8L or VP8X chunk; got {kind!r}")


def _bmp(data: bytes) -> ImageHeader:
    (header_size,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if header_size == 12 else "<ii", data, 18)
    return ImageHeader("BMP", width, abs(height))


def _tiff(data: bytes) -> ImageHeader:
    tags = read_ifd(data)
    _check_sides_once(data)
    width, height = tags.get(256, 0), tags.get(257, 0)
    if not isinstance(width, int) or not isinstance(height, int) or not width or not height:
        raise ImageError(f"the TIFF file is truncated or broken: no image size in {len(data)} bytes")
    return ImageHeader("TIFF", width, height, exif=data)


def _check_sides_once(data: bytes) -> None:
    """Readers differ in which of two sizes they take."""
    order = "<" if data[:2] == b"II" else ">"
    (offset,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, offset)
    entries = data[offset + 2 : offset + 2 + 12 * count]
    kinds = [struct.unpack_from(order + "H", entries, at)[0] for at in range(0, len(entries) - 11, 12)]
    if max(kinds.count(256), kinds.count(257)) > 1:
        raise ImageError("expected a TIFF of one size; got more than one in its first directory")


_FORMATS = (
    (re.compile(rb"\xff\xd8"), "JPEG", _jpeg),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "PNG", _png),
    (re.compile(rb"RIFF[\0-\xff]{4}WEBP"), "WebP", _webp),
    (re.compile(rb"BM"), "BMP", _bmp),
    (re.compile(rb"II\*\0|MM\0\*"), "TIFF", _tiff),
)
