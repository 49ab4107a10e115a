"""The files of frames."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from format_parts import fill, frame_id, read, said
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.formats.media import Media, Medium
from edge_sdk.images.header import read_header
from edge_sdk.store.journal import JournalEntry

CAMTRAP_PATH = r"^(?=^[^./~])(^((?!\.{2}).)*$).*$"


def entry(source: str, picture: str | None = None) -> JournalEntry:
    answer = said(1, "fox", source=source).answer
    return JournalEntry(answer, answer, None, None, "", picture=picture)


@pytest.mark.parametrize(
    ("source", "path", "media_type", "is_video"),
    [
        ("/card/DCIM/1.JPG", "/card/DCIM/1.JPG", "image/jpeg", False),
        ("card/a.webp", "card/a.webp", "image/webp", False),
        ("/card/v.MOV", "/card/v.MOV", "video/quicktime", True),
        ("/card/v.mp4", "/card/v.mp4", "video/mp4", True),
        ("http://camera/snap.jpg", f"media/{frame_id(1)}.jpg", "image/jpeg", False),
        ("picamera2", f"media/{frame_id(1)}.jpg", "image/jpeg", False),
        ("", f"media/{frame_id(1)}.jpg", "image/jpeg", False),
    ],
)
def test_photos_videos_and_live_cameras(source: str, path: str, media_type: str, is_video: bool) -> None:
    medium = Media(Path("state")).of(entry(source))
    assert (medium.path, medium.media_type, medium.is_video) == (path, media_type, is_video)
    assert medium.is_file == (medium.path == source)


def test_paths_below_the_base_are_relative_to_it() -> None:
    media = Media(Path("state"), base=Path("/card"))
    assert media.of(entry("/card/DCIM/1.JPG")).path == "DCIM/1.JPG"
    assert media.of(entry("/cards/1.JPG")).path == "/cards/1.JPG"
    here = Media(Path("state"), base=Path.cwd())
    assert here.of(entry("card/1.JPG")).path == "card/1.JPG"


def test_kept_pictures_are_copied_where_that_is_asked(state: Path, tmp_path: Path) -> None:
    copied = {one.frame_id: one.medium for one in read(state, copies=tmp_path / "out") if one.medium.is_copied}
    assert set(copied) == {frame_id(number) for number in (1, 3, 4)}  # an exit, one that waits, one that was answered
    for name, medium in copied.items():
        assert (medium.path, medium.size) == (f"media/{name}.jpg", (64, 48))
        assert read_header((tmp_path / "out" / medium.path).read_bytes()).complete
    assert not any(one.medium.is_copied for one in read(state))


def test_a_picture_that_is_gone_or_damaged_is_not_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    state = fill(tmp_path / "state")
    file = state / "archive" / f"{frame_id(1)}.frame"
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + b"?")
    assert not next(read(state, copies=tmp_path)).medium.is_copied
    file.unlink()
    assert not next(read(state, copies=tmp_path)).medium.is_copied
    assert [frame_id(1) in one.message for one in caplog.records] == [True, True]
    media = Media(state, copies=tmp_path)
    answer = replace(entry("x").answer, frame_id="../../x")
    assert not media.of(JournalEntry(answer, answer, None, None, "", picture="archive/x.frame")).is_copied
    assert not (tmp_path / "media").exists()


@given(st.text())
def test_every_path_can_stand_in_a_data_package(path: str) -> None:
    assert re.fullmatch(CAMTRAP_PATH, Medium(path, "image/jpeg", "").uri) or not path


def test_plain_relative_paths_stand_as_they_are() -> None:
    assert Medium("DCIM/a b.jpg", "image/jpeg", "").uri == "DCIM/a b.jpg"
    assert Medium("/card/a b.jpg", "image/jpeg", "").uri == "file:///card/a%20b.jpg"
    assert Media(Path("state"), base=Path("/card")).of(entry("/card/=a.jpg")).uri == "file:///card/%3Da.jpg"
