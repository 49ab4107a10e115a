from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.errors import ImageError
from edge_sdk.images.header import read_header

FORMATS = {".jpg": "JPEG", ".png": "PNG", ".webp": "WebP", ".bmp": "BMP", ".tiff": "TIFF"}


def encoded(suffix: str, width: int = 40, height: int = 30) -> bytes:
    image = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return cv2.imencode(suffix, image)[1].tobytes()


@pytest.mark.parametrize("suffix", FORMATS)
@given(width=st.integers(1, 300), height=st.integers(1, 300))
@settings(max_examples=25, deadline=None)
def test_format_and_size_of_real_files(suffix: str, width: int, height: int) -> None:
    header = read_header(encoded(suffix, width, height))
    assert (header.format, header.width, header.height, header.complete) == (FORMATS[suffix], width, height, True)


def test_progressive_jpeg_and_lossy_webp() -> None:
    image = np.zeros((30, 40, 3), np.uint8)
    for suffix, options in ((".jpg", [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]), (".webp", [cv2.IMWRITE_WEBP_QUALITY, 50])):
        header = read_header(cv2.imencode(suffix, image, options)[1].tobytes())
        assert (header.width, header.height, header.complete) == (40, 30, True)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@given(kept=st.floats(0, 0.999))
@settings(max_examples=60, deadline=None)
def test_a_cut_file_is_refused_or_known_to_be_incomplete(suffix: str, kept: float) -> None:
    data = encoded(suffix)
    try:
        assert not read_header(data[: int(len(data) * kept)]).complete
    except ImageError as error:
        assert "truncated" in str(error) or "expected a JPEG" in str(error)


def test_bytes_behind_the_end_do_not_matter_and_a_thumbnail_is_not_the_end() -> None:
    data = encoded(".jpg")
    assert read_header(data + b"maker's trailer").complete
    thumbnail = b"Exif\0\0" + encoded(".jpg", 8, 8)
    with_thumbnail = data[:2] + b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail + data[2:]
    header = read_header(with_thumbnail)
    assert (header.width, header.height, header.complete) == (40, 30, True)
    assert not read_header(with_thumbnail[:-2]).complete


def frame_header(data: bytes) -> tuple[int, int]:
    """Where the frame header of a baseline JPEG starts and ends."""
    at = data.index(b"\xff\xc0")
    return at, at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")


@pytest.mark.parametrize("place", ["before", "between", "behind the scan"])
def test_a_second_frame_header_is_refused(place: str) -> None:
    data = encoded(".jpg")
    start, end = frame_header(data)
    second = bytearray(data[start:end])
    second[5:9] = b"\0\1\0\1"
    at = {"before": start, "between": end, "behind the scan": len(data) - 2}[place]
    with pytest.raises(ImageError, match="expected a JPEG of one frame header"):
        read_header(data[:at] + bytes(second) + data[at:])


def test_a_frame_header_within_a_segment_or_behind_the_end_does_not_count() -> None:
    data = encoded(".jpg")
    start, end = frame_header(data)
    second = bytearray(data[start:end])
    second[5:9] = b"\xff\xff\xff\xff"
    segment = b"\xff\xe5" + (len(second) + 2).to_bytes(2, "big") + second
    header = read_header(data[:2] + segment + data[2:] + bytes(second))
    assert (header.width, header.height, header.complete, header.scans) == (40, 30, True, 1)


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_a_jpeg_in_which_another_starts_is_refused(kept: float) -> None:
    data = encoded(".jpg")
    with pytest.raises(ImageError, match="another picture starts at byte"):
        read_header(data[: int(len(data) * kept)] + data)


@pytest.mark.parametrize("next_file", [".jpg", ".png", ".webp"])
def test_a_webp_in_which_another_file_starts_is_refused(next_file: str) -> None:
    data = encoded(".webp")
    with pytest.raises(ImageError, match="another picture starts"):
        read_header(data[: len(data) // 2] + encoded(next_file, 60, 60))


def test_a_tiff_of_two_widths_is_refused() -> None:
    def entry(tag: int, value: int) -> bytes:
        return struct.pack("<HHII", tag, 4, 1, value)

    one = b"II*\0\x08\0\0\0" + struct.pack("<H", 2) + entry(256, 40) + entry(257, 30)
    assert (read_header(one).width, read_header(one).height) == (40, 30)
    two = b"II*\0\x08\0\0\0" + struct.pack("<H", 3) + entry(256, 60_000) + entry(256, 40) + entry(257, 30)
    with pytest.raises(ImageError, match="expected a TIFF of one size"):
        read_header(two)


def test_a_webp_is_as_large_as_its_first_chunk_says() -> None:
    data = encoded(".webp")
    canvas = b"VP8X" + (10).to_bytes(4, "little") + bytes(4) + bytes(6)
    assert (read_header(data + canvas).width, read_header(data[:12] + canvas + data[12:]).width) == (40, 1)
    with pytest.raises(ImageError, match=r"starts with a VP8, VP8L or VP8X chunk; got b'JUNK'"):
        read_header(data[:12] + b"JUNK\0\0\0\0" + data[12:])


def test_only_accepted_formats_are_read() -> None:
    with pytest.raises(ImageError, match="expected a JPEG or PNG image; got a file that starts with 42 4d"):
        read_header(encoded(".bmp"), ("JPEG", "PNG"))


@pytest.mark.parametrize(
    ("data", "parts"),
    [
        (b"\xff\xd8" + b"\xff\xe1\0\2" * 70_000, "segments"),
        (encoded(".png")[:-12] + bytes(12 * 70_000), "chunks"),
        (encoded(".webp") + bytes(8 * 70_000), "chunks"),
    ],
)
def test_a_file_of_endless_parts_is_refused(data: bytes, parts: str) -> None:
    with pytest.raises(ImageError, match=f"at most 65,536 {parts}; got more"):
        read_header(data)


def test_scans_are_counted() -> None:
    image = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    progressive = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    assert read_header(encoded(".jpg")).scans == 1
    assert read_header(progressive).scans == progressive.count(b"\xff\xda") > 5


def test_other_bytes_are_named() -> None:
    with pytest.raises(ImageError, match=r"expected a JPEG, PNG, WebP, BMP or TIFF image; got .* 47 49 46 38"):
        read_header(b"GIF89a\0\0")
    with pytest.raises(ImageError, match="got an empty file"):
        read_header(b"")


@given(
    st.sampled_from([b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP", b"BM", b"II*\0", b"MM\0*"]), st.binary()
)
def test_any_bytes_give_a_header_or_an_image_error(magic: bytes, rest: bytes) -> None:
    try:
        header = read_header(magic + rest)
    except ImageError:
        return
    assert header.width > 0
    assert header.height > 0
