from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from edge_sdk.errors import ImageError
from edge_sdk.images.read import decode_image, orient, read_image
from edge_sdk.types import Image


def photo(width: int = 96, height: int = 64) -> Image:
    """A smooth picture, so that JPEG is near to it."""
    coarse = np.random.default_rng(0).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def saved(image: PIL.Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def opened(data: bytes) -> Image:
    """What Pillow makes of it, upright and RGB."""
    return np.asarray(PIL.ImageOps.exif_transpose(PIL.Image.open(io.BytesIO(data))).convert("RGB"))


def worst(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other.astype(int)).max())


NUMPY_ORIENTATIONS: dict[int, Callable[[Image], Image]] = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.transpose(1, 0, 2),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].transpose(1, 0, 2),
    8: lambda stored: np.rot90(stored, 1),
}


@given(
    stored=npst.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))),
    orientation=st.integers(1, 8),
)
def test_orient_equals_numpy(stored: Image, orientation: int) -> None:
    turned = orient(stored, orientation)
    assert np.array_equal(turned, NUMPY_ORIENTATIONS[orientation](stored))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("kind", "options"),
    [("JPEG", {}), ("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"})],
)
def test_exif_orientation_in_files(kind: str, options: dict[str, Any], orientation: int) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    data = saved(PIL.Image.fromarray(photo()), kind, exif=exif, **options)
    assert worst(decode_image(data).image, opened(data)) == 0


def test_capture_time_with_fraction_and_offset() -> None:
    exif = PIL.Image.Exif()
    exif.get_ifd(0x8769).update({0x9003: "2024:05:01 10:11:12", 0x9011: "-03:30", 0x9291: "25"})
    data = saved(PIL.Image.fromarray(photo()), "JPEG", exif=exif)
    zone = timezone(-timedelta(hours=3, minutes=30))
    assert decode_image(data).captured_at == datetime(2024, 5, 1, 10, 11, 12, 250_000, tzinfo=zone)


def test_capture_time_without_offset_is_in_the_zone_given(tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[0x0132] = "2024:05:01 10:11:12"
    (tmp_path / "a.jpg").write_bytes(saved(PIL.Image.fromarray(photo()), "JPEG", exif=exif))
    assert read_image(tmp_path / "a.jpg", zone=UTC).captured_at == datetime(2024, 5, 1, 10, 11, 12, tzinfo=UTC)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_modes_equal_pillow(kind: str, mode: str) -> None:
    image = PIL.Image.fromarray(photo()).convert(mode)
    data = saved(image.convert("RGB") if (kind, mode) == ("JPEG", "P") else image, kind)
    decoded = decode_image(data)
    assert worst(decoded.image, opened(data)) <= 1
    assert decoded.captured_at is None


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_equals_pillow(kind: str) -> None:
    data = saved(PIL.Image.fromarray(photo()).convert("CMYK"), kind)
    decoded = decode_image(data).image
    assert worst(decoded, opened(data)) <= 1
    assert worst(decoded, photo()) <= 40  # the colours themselves, not their negative


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_every_16_bit_value_is_scaled_and_rounded(suffix: str) -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    expected = np.rint(values / 257).astype(np.uint8)
    grey = decode_image(cv2.imencode(suffix, values)[1].tobytes()).image
    assert np.array_equal(grey, np.repeat(expected[..., None], 3, axis=2))
    colour = np.dstack([values, values.T, values[::-1]])
    rgb = decode_image(cv2.imencode(suffix, colour)[1].tobytes()).image
    assert np.array_equal(rgb, np.dstack([expected[::-1], expected.T, expected]))


@given(alpha=st.integers(0, 255), value=st.integers(0, 255))
def test_transparency_is_laid_over_white(alpha: int, value: int) -> None:
    pixels = np.full((2, 2, 4), (value, 0, 255, alpha), np.uint8)
    image = decode_image(cv2.imencode(".png", pixels)[1].tobytes()).image
    expected = [255.0, 255 - alpha, value * alpha / 255 + 255 - alpha]
    assert np.abs(image[0, 0] - expected).max() <= 0.5001


def test_opaque_and_16_bit_transparency() -> None:
    opaque = np.dstack([photo(), np.full((64, 96), 255, np.uint8)])
    assert np.array_equal(decode_image(cv2.imencode(".png", opaque)[1].tobytes()).image, photo()[..., ::-1])
    clear = np.zeros((4, 4, 4), np.uint16)
    assert (decode_image(cv2.imencode(".png", clear)[1].tobytes()).image == 255).all()


def test_a_palette_with_a_transparent_colour() -> None:
    image = PIL.Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    image.putpalette([10, 20, 30, 40, 50, 60])
    decoded = decode_image(saved(image, "PNG", transparency=0)).image
    assert decoded.tolist() == [[[255, 255, 255], [40, 50, 60]]]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("kept", [0.02, 0.3, 0.9, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, kind: str, kept: float) -> None:
    data = saved(PIL.Image.fromarray(photo(320, 240)), kind)
    path = tmp_path / "cut"
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(ImageError, match="truncated") as caught:
        read_image(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_whose_end_is_zeros_is_refused(progressive: bool) -> None:
    data = saved(PIL.Image.fromarray(photo(320, 240)), "JPEG", progressive=progressive)
    half = len(data) // 2
    with pytest.raises(ImageError, match="the JPEG file is truncated"):
        decode_image(data[:half] + bytes(len(data) - half))


def test_broken_content_is_refused() -> None:
    data = bytearray(saved(PIL.Image.fromarray(photo()), "PNG"))
    data[60:90] = bytes(30)
    with pytest.raises(ImageError, match="the PNG file is truncated or broken"):
        decode_image(bytes(data))


def test_size_is_checked_before_decoding() -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 20_000, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    with pytest.raises(ImageError, match=r"expected at most 100 megapixels; got 30000x20000 \(600\.0 megapixels\)"):
        decode_image(bomb)
    whole = saved(PIL.Image.fromarray(photo()), "JPEG")
    assert decode_image(whole, max_pixels=96 * 64).image.shape == (64, 96, 3)
    with pytest.raises(ImageError, match="got 96x64"):
        decode_image(whole, max_pixels=96 * 64 - 1)


def test_float_pixels_are_refused() -> None:
    data = cv2.imencode(".tiff", np.zeros((4, 4, 3), np.float32))[1].tobytes()
    with pytest.raises(ImageError, match="expected 8 or 16 bits per channel; got float32"):
        decode_image(data)


def test_no_such_file_and_not_an_image(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"nowhere\.jpg: cannot be read: No such file"):
        read_image(tmp_path / "nowhere.jpg")
    (tmp_path / "text.jpg").write_text("hello, world")
    with pytest.raises(ImageError, match=r"text\.jpg: expected a JPEG, .*; got a file that starts with 68 65 6c 6c"):
        read_image(tmp_path / "text.jpg")


@pytest.mark.data
def test_real_trap_photos(data_dir: Path) -> None:
    paths = sorted((data_dir / "trap_photos").glob("*/*.jpg"))
    assert len(paths) == 21
    timed = []
    for path in paths:
        loaded = read_image(path, zone=UTC)
        assert worst(loaded.image, opened(path.read_bytes())) <= 3
        assert loaded.image.shape[1] > loaded.image.shape[0]
        if loaded.captured_at is not None:
            timed.append((path.name, loaded.captured_at))
    assert timed == [("49.jpg", datetime(2016, 3, 24, 10, 30, 12, tzinfo=UTC))]
