"""Pictures to begin with: honest ones of every kind and size, and bombs made by hand."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_sdk.types import Image

SIZES = ((1, 1), (7, 5), (64, 48), (320, 240), (641, 479))


def scene(width: int, height: int) -> Image:
    noise = np.random.default_rng(width).integers(0, 40, (height, width, 3), np.uint8)
    y, x = np.mgrid[:height, :width]
    smooth: NDArray[np.uint8] = np.stack([200 * x // width, 200 * y // height, 0 * x], axis=2).astype(np.uint8)
    return np.asarray(smooth + noise, np.uint8)


def encode(image: NDArray[Any], suffix: str, *options: int) -> bytes:
    return bytes(cv2.imencode(suffix, image, list(options))[1])


def honest() -> list[bytes]:
    """JPEG (baseline, progressive, grey, restart markers), PNG (8 and 16 bit, palette-like grey), WebP (both kinds)."""
    pictures = []
    for width, height in SIZES:
        image = scene(width, height)
        pictures += [
            encode(image, ".jpg"),
            encode(image, ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
            encode(image, ".jpg", cv2.IMWRITE_JPEG_RST_INTERVAL, 4),
            encode(image[:, :, 0], ".jpg"),
            encode(image, ".png"),
            encode(image[:, :, 0], ".png"),
            encode(image.astype(np.uint16) * 257, ".png"),
            encode(image, ".webp", cv2.IMWRITE_WEBP_QUALITY, 70),
            encode(image, ".webp", cv2.IMWRITE_WEBP_QUALITY, 101),
        ]
    return pictures


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *before: bytes, rows: bytes | None = None) -> bytes:
    """A grey PNG of `width` x `height` that is black unless `rows` are given; `before` stands before its data."""
    data = zlib.compress(bytes((width + 1) * height), 9) if rows is None else rows
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(before) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def giant_jpeg(width: int, height: int) -> bytes:
    """A small JPEG whose header says something else."""
    data = bytearray(encode(scene(64, 48), ".jpg"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def scan_bomb(width: int, height: int, scans: int) -> bytes:
    """A progressive JPEG that refines the same coefficients of all its pixels again and again."""
    data = encode(np.zeros((height, width), np.uint8), ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * scans + data[-2:]


def animated_webp(frames: int) -> bytes:
    still = encode(scene(64, 48), ".webp", cv2.IMWRITE_WEBP_QUALITY, 50)[12:]

    def riff(kind: bytes, body: bytes) -> bytes:
        return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)

    size = (63).to_bytes(3, "little") + (47).to_bytes(3, "little")
    body = riff(b"VP8X", b"\x02\0\0\0" + size) + riff(b"ANIM", bytes(6))
    body += riff(b"ANMF", bytes(6) + size + bytes(4) + still) * frames
    return riff(b"RIFF", b"WEBP" + body)


def bombs() -> list[bytes]:
    """Small files that ask for much: pixels, chunks, frames, scans, unpacked bytes."""
    text = chunk(b"tEXt", b"a\0b")
    return [
        giant_jpeg(65_000, 65_000),
        giant_jpeg(65_535, 1),
        png(2**31 - 1, 2**31 - 1, rows=b""),
        png(4_000, 2_000),  # within the limit: 8 megapixels of 8 kB
        png(100_000, 300, rows=zlib.compress(bytes(1000))),
        png(16, 16, rows=zlib.compress(bytes(10_000_000), 9)),
        png(16, 16, text * 50_000),
        png(16, 16, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(20_000_000), 9))),
        png(16, 16, chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(20_000_000), 9))),
        animated_webp(2),
        animated_webp(500),
        scan_bomb(2_000, 2_000, 1_000),
        b"\xff\xd8" + b"\xff\xe1\xff\xff" + bytes(65_533),
        b"\xff\xd8" * 100_000,
        b"RIFF\xff\xff\xff\xffWEBPVP8 " + bytes(30),
        b"",
    ]
