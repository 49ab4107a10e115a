"""A PNG file, checked by its own sums, lengths and order of chunks, and reduced to what its pixels need.

What libpng does not like it writes to the standard error of the process. A file that passed here gives it no reason to.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from edge_sdk.errors import ImageError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_CHUNKS = 65_536
"""Chunks of one file: far more than encoders write, few enough to be walked at once."""

_MAX_SIDE = 1_000_000  # libpng's own limit
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_GREY, _RGB, _PALETTE = 0, 2, 3
# Adam7, PNG specification 8.2: first column, first row, step across, step down.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_PIECE = 1 << 16


def chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The chunks of a PNG file that are there in full: kind, and where the body starts and ends.

    Raises:
        ImageError: there are more than 65,536 of them.
    """
    position = len(SIGNATURE)
    for _ in range(MAX_CHUNKS):
        if position + 12 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, position)
        if position + 12 + length > len(data):
            return
        yield kind, position + 8, position + 8 + length
        position += 12 + length
    raise ImageError(f"expected a PNG file of at most {MAX_CHUNKS:,} chunks; got more")


def pack(kind: bytes, body: bytes) -> bytes:
    """One chunk."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def plain_png(data: bytes) -> bytes:
    """The same picture as a PNG of header, palette, transparency and pixels alone.

    Args:
        data: a whole PNG file that starts with IHDR, whose size was found to be within limits.

    Raises:
        ImageError: a checksum is wrong, a chunk is missing, doubled or impossible, or there are fewer or more pixels
            than the header says.
    """
    header = palette = transparency = b""
    pixels: list[bytes] = []
    for kind, start, end in chunks(data):
        body = data[start:end]
        if kind[:1].isupper() and zlib.crc32(data[start - 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            raise _broken(f"the checksum of its {kind!r} chunk is wrong")
        if kind == b"IHDR" and header:
            raise _broken("it has more than one IHDR chunk")
        if kind == b"IHDR":
            header = body
        elif kind == b"IDAT":
            pixels.append(body)
        elif kind == b"PLTE" and not pixels:
            palette = body
        elif kind == b"tRNS" and not pixels:
            transparency = body
        elif kind == b"IEND":
            break
    colour, depth = _check_header(header)
    if colour == _PALETTE and (not palette or len(palette) % 3 or len(palette) > 3 << depth):
        raise _broken(f"its palette has {len(palette)} bytes")
    packed = b"".join(pixels)
    packed = packed[: len(packed) - _check_pixels(header, packed)]
    out = SIGNATURE + pack(b"IHDR", header)
    if colour == _PALETTE:
        out += pack(b"PLTE", palette.ljust(3 << depth, b"\0"))  # an index beyond the palette is black
        transparency = transparency[: 1 << depth]
    if transparency and len(transparency) == {_GREY: 2, _RGB: 6, _PALETTE: len(transparency)}.get(colour):
        out += pack(b"tRNS", transparency)
    return out + pack(b"IDAT", packed) + pack(b"IEND", b"")


def _check_header(header: bytes) -> tuple[int, int]:
    width, height, depth, colour, packing, filtering, interlaced = struct.unpack(">IIBBBBB", header)
    if depth not in _DEPTHS.get(colour, ()) or packing or filtering or interlaced > 1:
        raise _broken(f"its header says colour type {colour} at {depth} bits")
    if max(width, height) > _MAX_SIDE:
        raise ImageError(f"expected a PNG of sides up to {_MAX_SIDE:,} pixels; got {width}x{height}")
    return colour, depth


def _check_pixels(header: bytes, packed: bytes) -> int:
    """Unpack all rows, a piece at a time, and look at their number and filters.

    Returns:
        Bytes behind the last row that belong to none.
    """
    width, height, depth, colour, *_, interlaced = struct.unpack(">IIBBBBB", header)
    bits = depth * _CHANNELS[colour]
    passes = _PASSES if interlaced else ((0, 0, 1, 1),)
    sizes = [(-((x - width) // dx), -((y - height) // dy)) for x, y, dx, dy in passes]
    rows = [(1 + (across * bits + 7) // 8, down) for across, down in sizes if across > 0 and down > 0]
    left = sum(stride * down for stride, down in rows)
    rows.reverse()
    stride, down = rows.pop()
    done = 0  # bytes of this pass
    inflate = zlib.decompressobj(0)
    try:
        for at in range(0, len(packed), _PIECE):
            piece = inflate.decompress(packed[at : at + _PIECE], left + 1)
            left -= len(piece)
            if left < 0:
                raise _broken("it has more pixels than its header says")
            while piece:
                part = piece[: stride * down - done]
                if max(part[-done % stride :: stride], default=0) > 4:
                    raise _broken("a row has an unknown filter")
                piece = piece[len(part) :]
                done += len(part)
                if done == stride * down and rows:
                    (stride, down), done = rows.pop(), 0
    except zlib.error as error:
        raise _broken(f"its pixels cannot be unpacked ({error})") from None
    if left or not inflate.eof:
        raise _broken("it has fewer pixels than its header says")
    return len(inflate.unused_data)


def _broken(why: str) -> ImageError:
    return ImageError(f"the PNG file is truncated or broken: {why}")
