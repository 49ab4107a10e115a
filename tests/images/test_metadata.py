"""What is written into a picture's file is what the SDK and exiftool read, and the pixels are as before."""

from __future__ import annotations

import json
import shutil
import subprocess
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.errors import ImageError
from edge_sdk.images.encode import encode
from edge_sdk.images.exif import parse_exif, read_ifd
from edge_sdk.images.header import read_header
from edge_sdk.images.metadata import Metadata, exif_block, with_metadata
from edge_sdk.images.read import decode_image
from edge_sdk.images.rendition import Upload
from edge_sdk.types import Image

SEEN = Metadata(
    captured_at=datetime(2026, 11, 26, 8, 30, 5, 120_000, timezone(timedelta(hours=-3, minutes=-30))),
    camera="picamera2",
    description='Füchsin & "Kit" <fox>, 93 %',
    software="edge-sdk 0.1.0",
    comment='{"label": "fox"}',
    keywords=("fox", "a & b <c>", "рысь"),
    unique_id="0190" * 8,
)


def picture() -> Image:
    return np.random.default_rng(3).integers(0, 255, (47, 61, 3), np.uint8)


@pytest.mark.parametrize("form", ["jpeg", "webp"])
def test_the_pixels_stay_and_the_file_is_whole(form: Literal["jpeg", "webp"]) -> None:
    plain = encode(picture(), Upload(format=form))
    full = with_metadata(plain, SEEN)
    header = read_header(full)
    assert header.complete and (header.width, header.height) == (61, 47)
    assert np.array_equal(decode_image(full).image, decode_image(plain).image)
    assert parse_exif(header.exif).captured_at == SEEN.captured_at
    with pytest.raises(ImageError, match="it has one already"):
        with_metadata(full, SEEN)


def test_other_files_are_refused() -> None:
    with pytest.raises(ImageError, match="expected a JPEG or WebP image; got"):
        with_metadata(b"GIF89a", SEEN)


@given(
    at=st.datetimes(
        datetime(1990, 1, 2),
        datetime(9999, 12, 30),
        timezones=st.integers(-14 * 3600, 14 * 3600).map(lambda seconds: timezone(timedelta(seconds=seconds))),
    ),
    camera=st.text(),
    comment=st.text(),
)
def test_any_time_and_text_comes_back(at: datetime, camera: str, comment: str) -> None:
    block = exif_block(Metadata(at, camera, camera, "s", comment), 61, 47)
    read = parse_exif(block)
    assert read.captured_at == at
    assert read.orientation == 1
    said = camera[:2000].replace("\0", "").encode("utf-8", "replace").strip()
    assert read_ifd(block)[0x0110] == said


def exiftool(path: Path, *options: str) -> dict[str, Any]:
    if shutil.which("exiftool") is None:
        pytest.skip("needs exiftool")
    done = subprocess.run(["exiftool", "-json", "-n", *options, path], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)[0]
    return found


@pytest.mark.parametrize("form", ["jpeg", "webp"])
def test_exiftool_reads_it_and_finds_no_fault(form: Literal["jpeg", "webp"], tmp_path: Path) -> None:
    path = tmp_path / f"a.{form}"
    path.write_bytes(with_metadata(encode(picture(), Upload(format=form)), SEEN))
    read = exiftool(path)
    assert read["SubSecDateTimeOriginal"] == "2026:11:26 08:30:05.12-03:30"
    assert (read["DateTimeOriginal"], read["OffsetTimeOriginal"]) == ("2026:11:26 08:30:05", "-03:30")
    assert (read["Model"], read["Software"], read["CreatorTool"]) == (SEEN.camera, SEEN.software, SEEN.software)
    assert read["ImageDescription"] == read["Description"] == SEEN.description
    assert read["UserComment"] == SEEN.comment
    assert read["Subject"] == list(SEEN.keywords)
    assert read["ImageUniqueID"] == SEEN.unique_id
    faults = exiftool(path, "-validate", "-warning", "-error", "-a")
    assert "Error" not in faults and "Warning" not in faults, faults


def test_a_time_in_utc_without_a_fraction(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    seen = Metadata(datetime(2026, 1, 1, tzinfo=UTC), "cam", "empty", "s")
    path.write_bytes(with_metadata(encode(picture(), Upload()), seen))
    read = exiftool(path)
    assert (read["DateTimeOriginal"], read["OffsetTimeOriginal"]) == ("2026:01:01 00:00:00", "+00:00")
    assert "SubSecTimeOriginal" not in read and "UserComment" not in read and "Subject" not in read
