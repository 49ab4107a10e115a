from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Any, cast

import cv2
import numpy as np
import pytest
from fuzz.corpus import scan_bomb
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_server.model.decode import Limits, TooLarge, check, decode, weigh
from edge_sdk.errors import ConfigError, ImageError
from edge_sdk.types import Image

LIMITS = Limits()


def scene(width: int = 60, height: int = 40) -> Image:
    """A smooth picture that is red on its left and green at its top."""
    y, x = np.mgrid[:height, :width]
    return np.stack([255 - 255 * x // width, 255 - 255 * y // height, 0 * x], axis=2).astype(np.uint8)


def encode(image: Image, suffix: str, *options: int) -> bytes:
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    return bytes(cv2.imencode(suffix, bgr, list(options))[1])


WHOLE = {
    "JPEG": encode(scene(), ".jpg"),
    "progressive JPEG": encode(scene(), ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "PNG": encode(scene(), ".png"),
    "lossy WebP": encode(scene(), ".webp", cv2.IMWRITE_WEBP_QUALITY, 80),
    "lossless WebP": encode(scene(), ".webp", cv2.IMWRITE_WEBP_QUALITY, 101),
}


def app1(body: bytes) -> bytes:
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


def exif(orientation: int, thumbnail: bytes = b"") -> bytes:
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    return app1(b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 0) + thumbnail)


def with_segment(jpeg: bytes, segment: bytes) -> bytes:
    return jpeg[:2] + segment + jpeg[2:]


def giant_jpeg(width: int, height: int) -> bytes:
    data = bytearray(WHOLE["JPEG"])
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def giant_png(width: int, height: int) -> bytes:
    ihdr = b"IHDR" + struct.pack(">II", width, height) + b"\x08\x02\0\0\0"
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + ihdr + struct.pack(">I", zlib.crc32(ihdr))


def giant_webp(width: int, height: int) -> bytes:
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + canvas
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize("name", WHOLE)
def test_every_format_gives_its_size_and_its_picture(name: str) -> None:
    header = check(WHOLE[name], LIMITS)
    assert (header.width, header.height) == (60, 40)
    assert header.format in name
    image = decode(WHOLE[name], LIMITS)
    assert image.dtype == np.uint8 and image.shape == (40, 60, 3)
    assert np.abs(image.astype(int) - scene()).mean() < 8


@pytest.mark.parametrize("name", WHOLE)
def test_no_cut_off_picture_passes(name: str) -> None:
    data = WHOLE[name]
    for end in range(len(data)):
        with pytest.raises(ImageError):
            decode(data[:end], LIMITS)


@pytest.mark.parametrize("make", [giant_jpeg, giant_png, giant_webp])
def test_a_giant_is_refused_by_its_header(make: object) -> None:
    assert callable(make)
    with pytest.raises(TooLarge, match=r"at most 32,000,000 pixels; got 16000x16000, 256,000,000 pixels"):
        check(make(16000, 16000), LIMITS)


def test_the_limits_are_the_last_that_pass() -> None:
    data = WHOLE["JPEG"]
    decode(data, Limits(max_bytes=len(data), max_pixels=2400))
    with pytest.raises(TooLarge, match=f"at most {len(data) - 1:,} bytes; got {len(data):,}"):
        decode(data, Limits(max_bytes=len(data) - 1))
    with pytest.raises(TooLarge, match="at most 2,399 pixels; got 60x40"):
        decode(data, Limits(max_pixels=2399))
    with pytest.raises(ConfigError, match="positive"):
        Limits(max_pixels=0)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_turns_the_picture_upright(orientation: int) -> None:
    upright = scene()
    undo: dict[int, Callable[[Any], Any]] = {
        2: np.fliplr,
        3: lambda x: np.rot90(x, 2),
        4: np.flipud,
        5: lambda x: x.transpose(1, 0, 2),
    }
    undo |= {6: lambda x: np.rot90(x, 1), 7: lambda x: np.rot90(x, 2).transpose(1, 0, 2), 8: lambda x: np.rot90(x, -1)}
    stored = np.ascontiguousarray(undo.get(orientation, np.asarray)(upright))
    image = decode(with_segment(encode(stored, ".jpg"), exif(orientation)), LIMITS)
    assert image.shape == upright.shape
    assert np.abs(image.astype(int) - upright).mean() < 8


def test_a_thumbnail_is_not_taken_for_the_picture() -> None:
    data = with_segment(WHOLE["JPEG"], exif(1, thumbnail=encode(scene(16, 16), ".jpg")))
    header = check(data, LIMITS)
    assert (header.width, header.height) == (60, 40)
    with pytest.raises(ImageError, match="cut off"):
        decode(data[:-20], LIMITS)


def test_stray_bytes_before_a_marker_are_skipped_as_the_decoder_does() -> None:
    header = check(with_segment(WHOLE["JPEG"], b"\x12\xff\x00\x34\xff\xff"), LIMITS)
    assert (header.width, header.height) == (60, 40)


def test_grey_alpha_and_16_bit_become_8_bit_rgb() -> None:
    grey = np.full((9, 7), 200, np.uint8)
    assert np.abs(decode(encode(grey, ".jpg"), LIMITS).astype(int) - 200).max() <= 2
    assert decode(encode(cast(Any, grey.astype(np.uint16) * 257), ".png"), LIMITS)[0, 0].tolist() == [200, 200, 200]
    rgba = np.dstack([np.full((9, 7, 3), (10, 20, 30), np.uint8), grey])
    over_white = [79, 71, 63]  # as the device reads it
    assert decode(bytes(cv2.imencode(".png", rgba)[1]), LIMITS)[0, 0].tolist() == over_white


def corrupt_png() -> bytes:
    data = bytearray(WHOLE["PNG"])
    data[data.index(b"IDAT") + 10] ^= 1
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "got an empty file"),
        (b"GIF89a" + bytes(40), "JPEG, PNG or WebP image; got a file that starts with 47 49 46 38"),
        (encode(scene(), ".bmp"), "JPEG, PNG or WebP"),
        (giant_jpeg(0, 40), "0x40"),
        (giant_png(5, 0), "5x0"),
        (b"\xff\xd8\xff\xd9", "frame header"),
        (b"\xff\xd8" + b"\xff\xe1\0\0" * 3, "at least 2 bytes"),
        (b"\xff\xd8" + b"\xff\xe1\0\2" * 70_000, "at most 65,536 segments; got more"),
        (b"\xff\xd8" + b"\xff" * 100_000, "no frame header"),
        (b"\x89PNG\r\n\x1a\n" + bytes(30), "IHDR"),
        (b"RIFF\x20\0\0\0WEBPABCD" + bytes(20), "VP8"),
        (b"RIFF\x20\0\0\0WEBPVP8 " + bytes(20), "start code"),
        (b"RIFF\x20\0\0\0WEBPVP8L" + bytes(20), "0x2f"),
        (corrupt_png(), "checksum of its b'IDAT' chunk"),
    ],
)
def test_bad_data_says_what_was_expected(data: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        decode(data, LIMITS)


@given(st.sampled_from([b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP", b"\xff\xd8\xff\xc0"]), st.binary())
def test_random_bytes_raise_nothing_but_image_errors(start: bytes, rest: bytes) -> None:
    with pytest.raises(ImageError):
        decode(start + rest, Limits(max_pixels=100_000))


@settings(deadline=None)
@given(st.sampled_from(sorted(WHOLE)), st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=5))
def test_damaged_pictures_give_a_picture_or_an_image_error(name: str, damage: list[tuple[int, int]]) -> None:
    data = bytearray(WHOLE[name])
    for at, value in damage:
        data[at % len(data)] = value
    try:
        image = decode(bytes(data), Limits(max_pixels=100_000))
    except ImageError:
        return
    assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3


@pytest.mark.parametrize(("side", "scans"), [(16, 101), (2_000, 40), (5_000, 20)])
def test_a_jpeg_that_is_scanned_again_and_again_is_refused_before_it_is_decoded(side: int, scans: int) -> None:
    limits = Limits(max_pixels=min(side * side * 2, 25_000_000))
    with pytest.raises(TooLarge, match=r"at most \d+ scans at this size; got"):
        check(scan_bomb(side, side, scans), limits)
    assert check(encode(scene(side, side), ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1), limits).width == side


def test_a_png_of_16_bits_may_have_half_the_pixels() -> None:
    limits = Limits(max_pixels=200)
    for side, bits in ((14, np.uint8), (10, np.uint16)):
        data = bytes(cv2.imencode(".png", np.zeros((side, side, 3), bits))[1])
        assert decode(data, limits).shape == (side, side, 3)
    with pytest.raises(TooLarge, match="16 bits of at most 100 pixels; got 11x11"):
        decode(bytes(cv2.imencode(".png", np.zeros((11, 11, 3), np.uint16))[1]), limits)


def test_the_weight_of_a_picture_follows_its_pixels_and_how_it_is_held() -> None:
    image = np.zeros((40, 50, 3), np.uint8)
    plain = bytes(cv2.imencode(".jpg", image)[1])
    progressive = bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1])
    png = bytes(cv2.imencode(".png", image)[1])
    assert [weigh(data, Limits()) // 2000 for data in (plain, progressive, png)] == [6, 12, 12]
