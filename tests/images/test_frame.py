"""Anything that holds one picture becomes a frame."""

from __future__ import annotations

import os
import struct
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.errors import ImageError
from edge_sdk.images.frame import as_frame, read_frame
from edge_sdk.types import Frame

BGR = np.zeros((8, 12, 3), np.uint8)
BGR[..., 0] = 255  # blue


def png(exif: bytes = b"") -> bytes:
    data = bytes(cv2.imencode(".png", BGR)[1])
    if not exif:
        return data
    chunk = struct.pack(">I", len(exif)) + b"eXIf" + exif + b"\0\0\0\0"
    return data[:33] + chunk + data[33:]


def exif(text: bytes) -> bytes:
    """A TIFF directory with DateTime, which lies behind it."""
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<HHHII", 1, 0x0132, 2, 20, 26) + b"\0\0\0\0" + text + b"\0"


def test_an_arrays_channels_are_red_green_blue_unless_said_otherwise() -> None:
    assert as_frame(BGR, bgr=True).image[0, 0].tolist() == [0, 0, 255]
    assert as_frame(BGR).image[0, 0].tolist() == [255, 0, 0]
    frame = Frame.from_bgr(BGR, source="cv2", truth="sea")
    assert (frame.image[0, 0].tolist(), frame.source, frame.truth) == ([0, 0, 255], "cv2", "sea")
    assert as_frame(frame) is frame


def test_a_file_keeps_its_path_and_its_time(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png())
    os.utime(path, (1_000_000_000, 1_000_000_000))
    for given in (path, str(path)):
        frame = as_frame(given)
        assert (frame.source, frame.captured_at) == (str(path), datetime.fromtimestamp(1_000_000_000, UTC))
        assert frame.image[0, 0].tolist() == [0, 0, 255]


def test_the_exif_time_wins(tmp_path: Path) -> None:
    data = png(exif(b"2026:05:01 12:30:00"))
    (tmp_path / "a.png").write_bytes(data)
    expected = datetime(2026, 5, 1, 12, 30).astimezone()
    assert as_frame(tmp_path / "a.png").captured_at == expected
    assert as_frame(data).captured_at == expected
    assert as_frame(memoryview(data)).captured_at == expected  # type: ignore[arg-type]


def test_bytes_without_a_time_were_taken_now() -> None:
    frame = as_frame(png())
    assert timedelta(0) <= datetime.now(UTC) - frame.captured_at < timedelta(minutes=5)
    assert frame.source == ""


def test_a_file_date_beyond_the_calendar_is_no_reason_to_refuse_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png())
    try:
        os.utime(path, (253_402_300_900, 253_402_300_900))  # the year 10000
    except OSError:
        pytest.skip("this file system holds no such date")
    if path.stat().st_mtime < 253_402_300_900:
        pytest.skip("this file system holds no such date")
    assert read_frame(path).image.shape == (8, 12, 3)


@pytest.mark.parametrize("given", ["no such file.png", ".", b"", b"not a picture", None, 7, BGR[..., 0]])
def test_what_is_no_picture_is_refused(given: object) -> None:
    with pytest.raises(ImageError):
        as_frame(given)  # type: ignore[arg-type]


def test_bgr_is_for_arrays(tmp_path: Path) -> None:
    for given, came in ((Frame(BGR), "a Frame"), (png(), "encoded bytes"), (tmp_path / "a.png", "a path")):
        with pytest.raises(ImageError, match=f"expected an array with bgr=True.*; got {came}"):
            as_frame(given, bgr=True)


def test_a_frames_text_is_short() -> None:
    frame = Frame(BGR, datetime(2026, 5, 1, tzinfo=timezone(timedelta(hours=2))), "cam", "0" * 32, "deer")
    assert repr(frame) == (
        f"Frame(12x8, captured_at=2026-05-01T00:00:00+02:00, source='cam', frame_id='{'0' * 32}', truth='deer')"
    )
