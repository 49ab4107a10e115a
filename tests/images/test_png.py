from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import cv2
import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

from edge_sdk.errors import ImageError
from edge_sdk.images.png import SIGNATURE, chunks, pack, plain_png


def grey(width: int, height: int, *before: bytes, rows: bytes | None = None, header: bytes = b"") -> bytes:
    """A grey PNG of 8 bits; `before` stands before its pixels."""
    rows = bytes((width + 1) * height) if rows is None else rows
    header = header or struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        SIGNATURE + pack(b"IHDR", header) + b"".join(before) + pack(b"IDAT", zlib.compress(rows)) + pack(b"IEND", b"")
    )


def decoded(data: bytes) -> NDArray[Any]:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    return pixels


def test_only_what_the_pixels_need_is_left() -> None:
    data = grey(8, 6, pack(b"iCCP", b"a\0\0junk"), pack(b"tEXt", b"a\0b"))
    assert [kind for kind, _, _ in chunks(plain_png(data))] == [b"IHDR", b"IDAT", b"IEND"]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (33, 17)])
def test_the_picture_is_the_same(mode: str, size: tuple[int, int]) -> None:
    width, height = size
    values = np.random.default_rng(0).integers(0, 256, (height, width, 4), np.uint8)
    image = PIL.Image.fromarray(values)
    image = PIL.Image.fromarray(values[..., 0].astype(np.uint16) * 257) if mode == "I;16" else image.convert(mode)
    stream = io.BytesIO()
    image.save(stream, "PNG")
    data = stream.getvalue()
    assert np.array_equal(decoded(plain_png(data)), decoded(data))


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 1), (9, 9), (33, 17)])
def test_interlaced_rows_are_counted(size: tuple[int, int]) -> None:
    width, height = size
    starts = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    sizes = [(len(range(x, width, dx)), len(range(y, height, dy))) for x, y, dx, dy in starts]
    count = sum((across + 1) * down for across, down in sizes if across)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 1)
    whole = grey(width, height, rows=bytes(count), header=header)
    assert decoded(plain_png(whole)).shape == (height, width)
    for wrong in (count - 1, count + 1):
        with pytest.raises(ImageError, match=r"(fewer|more) pixels than its header says"):
            plain_png(grey(width, height, rows=bytes(wrong), header=header))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (grey(8, 6, rows=bytes(10)), "fewer pixels"),
        (grey(8, 6, rows=bytes(10_000_000)), "more pixels"),
        (grey(8, 6, rows=b"\0" * 9 + b"\5" + bytes(44)), "unknown filter"),
        (grey(8, 6, pack(b"IHDR", struct.pack(">IIBBBBB", 9999, 9999, 8, 0, 0, 0, 0))), "more than one IHDR"),
        (grey(8, 6, header=struct.pack(">IIBBBBB", 8, 6, 3, 0, 0, 0, 0)), "colour type 0 at 3 bits"),
        (grey(8, 6, header=struct.pack(">IIBBBBB", 8, 6, 8, 3, 0, 0, 0)), "its palette has 0 bytes"),
        (SIGNATURE + grey(8, 6)[8:33] + pack(b"IEND", b""), "fewer pixels"),
        (grey(8, 6)[:-20] + b"\1" + grey(8, 6)[-19:], "checksum"),
        (SIGNATURE + pack(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)) + pack(b"IDAT", b"no"), "unpacked"),
        (grey(2_000_000, 1), "sides up to 1,000,000"),
    ],
)
def test_what_libpng_would_complain_of_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(ImageError, match=why):
        plain_png(data)


def test_transparency_and_palettes_of_odd_lengths() -> None:
    pixels = pack(b"IDAT", zlib.compress(b"\0\3")) + pack(b"IEND", b"")
    header = pack(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 2, 3, 0, 0, 0))
    data = SIGNATURE + header + pack(b"PLTE", b"abc") + pack(b"tRNS", b"1234567") + pixels
    assert decoded(plain_png(data)).shape[:2] == (1, 1)
    plain = plain_png(grey(8, 6, pack(b"tRNS", b"odd")))
    assert b"tRNS" not in plain


def test_bytes_behind_the_last_row_are_left_out(capfd: pytest.CaptureFixture[str]) -> None:
    whole = grey(8, 6)
    packed = zlib.compress(bytes(9 * 6)) + b"more"
    data = whole[:33] + pack(b"IDAT", packed) + pack(b"IEND", b"")
    assert plain_png(data) == plain_png(whole)
    assert decoded(plain_png(data)).shape == (6, 8)
    assert capfd.readouterr().err == ""
