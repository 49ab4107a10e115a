from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from video_files import H264, MJPEG, cut, damage, make_video, run

from edge_sdk.camera.container import Container, avi_damage, matroska_start_s, read_container

MADE = datetime(2024, 5, 1, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("suffix", "kind"), [("mp4", "mp4"), ("mov", "mp4"), ("3gp", "mp4"), ("mkv", "matroska"), ("webm", "matroska")]
)
def test_creation_times_that_ffmpeg_writes(tmp_path: Path, suffix: str, kind: str) -> None:
    codec = ("-c:v", "libvpx", "-b:v", "200k") if suffix == "webm" else H264
    path = make_video(tmp_path / f"a.{suffix}", "-metadata", "creation_time=2024-05-01T12:00:00Z", *codec, seconds=0.5)
    assert read_container(path) == Container(kind, MADE)  # type: ignore[arg-type]
    assert read_container(path, clock_offset=timedelta(hours=-2)).created_at == MADE - timedelta(hours=2)


def test_no_creation_time(tmp_path: Path) -> None:
    for suffix, kind in (("mp4", "mp4"), ("mkv", "matroska"), ("avi", "avi"), ("ts", "other")):
        path = make_video(tmp_path / f"a.{suffix}", *(MJPEG if suffix == "avi" else H264), seconds=0.5)
        assert read_container(path) == Container(kind)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-05-01T14:00:00+0200", MADE),
        ("2024-05-01T12:00:00Z", MADE),
        ("2024-05-01 14:00:00", MADE),  # in the zone given
        ("2024:05:01 14:00:00", MADE),
        ("2024", None),
    ],
)
def test_the_day_of_quicktime(tmp_path: Path, text: str, expected: datetime | None) -> None:
    path = make_video(tmp_path / "a.mov", "-metadata", f"date={text}", *H264, seconds=0.5)
    assert read_container(path, BERLIN).created_at == expected


def test_apples_own_date_goes_first(tmp_path: Path) -> None:
    path = tmp_path / "a.mov"
    fields = ("creation_time=2024-05-02T00:00:00Z", "com.apple.quicktime.creationdate=2024-05-01T14:00:00+0200")
    told = [part for field in fields for part in ("-metadata", field)]
    make_video(path, *told, "-movflags", "use_metadata_tags", *H264, seconds=0.5)
    assert read_container(path).created_at == MADE


def test_a_tag_of_matroska(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mkv", "-metadata", "DATE_RECORDED=2024-05-01 14:00:00", *H264, seconds=0.5)
    assert read_container(path, BERLIN).created_at == MADE


def riff(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


@pytest.mark.parametrize("text", [b"Wed May 01 14:00:00 2024\n\0", b"2024:05:01 14:00:00\0", b"2024-05-01T12:00:00Z"])
def test_the_date_of_a_cameras_avi(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "a.avi"
    header = riff(b"LIST", b"hdrl" + riff(b"avih", bytes(56)) + riff(b"IDIT", text))
    path.write_bytes(riff(b"RIFF", b"AVI " + header + riff(b"LIST", b"movi" + bytes(100))))
    assert read_container(path, BERLIN) == Container("avi", MADE)


@pytest.mark.parametrize("seconds", [0, 1, 2_082_844_800, 2_082_844_800 + 86_400, 0xFFFFFFFF])
def test_a_clock_that_was_not_set_is_no_creation_time(tmp_path: Path, seconds: int) -> None:
    path = make_video(tmp_path / "a.mp4", *H264, seconds=0.5)
    data = bytearray(path.read_bytes())
    at = data.index(b"mvhd") + 8
    data[at : at + 4] = struct.pack(">I", seconds)
    path.write_bytes(data)
    assert read_container(path).created_at is None


def test_unix_time_in_an_mp4(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", *H264, seconds=0.5)
    data = bytearray(path.read_bytes())
    at = data.index(b"mvhd") + 8
    data[at : at + 4] = struct.pack(">I", int(MADE.timestamp()))
    path.write_bytes(data)
    assert read_container(path).created_at == MADE


def test_an_mp4_without_its_index(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", *H264)
    assert read_container(path).has_index
    assert not read_container(cut(path, 0.6)).has_index
    fragments = make_video(tmp_path / "b.mp4", "-movflags", "frag_keyframe+empty_moov", *H264)
    assert read_container(cut(fragments, 0.6)).has_index


def test_chunks_of_an_avi_that_are_not_where_the_index_says(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.avi", *MJPEG, noisy=True)
    assert avi_damage(str(path)) == avi_damage(str(path), sample=5) == []
    damage(path, 0.5, 0.1, zeros=True)
    ((start_s, length_s),) = avi_damage(str(path), sample=500)
    assert 1.0 < start_s < 2.5
    assert 0.2 < length_s < 1.0
    assert avi_damage(str(cut(path, 0.8))) == []  # the index is gone


def test_sound_beside_the_pictures_of_an_avi(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    sources = ("-f", "lavfi", "-i", "sine=d=2", "-f", "lavfi", "-i", "testsrc2=s=160x120:r=10:d=2")
    run(*sources, "-map", "0", "-map", "1", *MJPEG, str(path))
    assert avi_damage(str(path)) == []


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi"])
@given(data=st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_gives_a_container(tmp_path: Path, suffix: str, data: st.DataObject) -> None:
    whole = tmp_path / f"whole.{suffix}"
    if not whole.exists():
        tags = ("-metadata", "creation_time=2024-05-01T12:00:00Z", "-metadata", "DATE_RECORDED=2024-05-01 14:00:00")
        make_video(whole, *tags, *(MJPEG if suffix == "avi" else H264), seconds=0.3)
    content = bytearray(whole.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    bad = tmp_path / f"bad.{suffix}"
    bad.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    assert isinstance(read_container(bad), Container)


def element(kind: int, body: bytes) -> bytes:
    """An EBML element with a length of eight bytes."""
    return kind.to_bytes((kind.bit_length() + 7) // 8, "big") + (1 << 56 | len(body)).to_bytes(8, "big") + body


@pytest.mark.parametrize(
    ("segment", "start_s"),
    [
        (element(0x1F43B675, element(0xE7, b"\x08\x98")), 2.2),
        (element(0x1549A966, element(0x2AD7B1, b"\x07\xa1\x20")) + element(0x1F43B675, element(0xE7, b"\x0a")), 0.005),
        (element(0xEC, bytes(50)) + element(0x1F43B675, element(0xE7, b"")), 0.0),
        (element(0x1549A966, b""), 0.0),
        (b"\x00" * 40, 0.0),
    ],
)
def test_where_a_piece_of_a_matroska_recording_begins(tmp_path: Path, segment: bytes, start_s: float) -> None:
    path = tmp_path / "a.mkv"
    path.write_bytes(element(0x1A45DFA3, b"") + element(0x18538067, segment))
    assert matroska_start_s(str(path)) == pytest.approx(start_s)
    path.write_bytes(path.read_bytes()[:-1])  # cut off
    assert matroska_start_s(str(path)) >= 0
