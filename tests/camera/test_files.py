from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.camera.files import CardFile, card_file, in_order, is_left_out, list_files, natural_key


def fill(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def names(root: Path) -> list[str]:
    return [file.name for file in list_files(str(root)).files]


@given(numbers=st.lists(st.integers(0, 10**12), unique=True))
def test_natural_order_is_numeric(numbers: list[int]) -> None:
    paths = sorted((f"trap/IMG_{number}.jpg" for number in numbers), key=natural_key)
    assert paths == [f"trap/IMG_{number}.jpg" for number in sorted(numbers)]


@given(st.lists(st.text(max_size=8)))
def test_natural_order_takes_any_names(paths: list[str]) -> None:
    assert sorted(sorted(paths, key=natural_key), key=natural_key) == sorted(paths, key=natural_key)


@pytest.mark.parametrize(
    "folder",
    [
        *("@eaDir/IMG_1.JPG", ".@__thumb", "$RECYCLE.BIN", ".Trash-1000/files", "#recycle", "@Recycle", "lost+found"),
        *(
            "System Volume Information",
            "RECYCLER/S-1-5",
            ".Trashes",
            ".thumbnails",
            "__MACOSX",
            "FOUND.000",
            "LOST.DIR",
        ),
    ],
)
def test_thumbnails_bins_and_hidden_folders_are_left_out(tmp_path: Path, folder: str) -> None:
    fill(tmp_path, "DCIM/IMG_1.JPG", f"DCIM/{folder}/IMG_2.JPG", f"{folder}/IMG_3.MP4")
    listing = list_files(str(tmp_path))
    assert [file.name for file in listing.files] == ["DCIM/IMG_1.JPG"]
    assert listing.passed_over == 2
    assert listing.unreadable == []


def test_files_that_are_no_pictures_of_the_camera(tmp_path: Path) -> None:
    fill(
        tmp_path, "._IMG_1.JPG", ".IMG_1.JPG", "Thumbs.db", "IMG_1.THM", "notes.txt", "IMG_1.JPG", "#3 ridge/@home.jpg"
    )
    assert names(tmp_path) == ["#3 ridge/@home.jpg", "IMG_1.JPG"]
    assert list_files(str(tmp_path)).passed_over == 5
    assert is_left_out("@EADIR")


def test_a_left_out_folder_that_is_named_is_searched(tmp_path: Path) -> None:
    fill(tmp_path, "#recycle/IMG_1.JPG")
    assert names(tmp_path / "#recycle") == ["IMG_1.JPG"]


def test_pipes_sockets_and_links_that_go_round(tmp_path: Path) -> None:
    fill(tmp_path, "good.jpg", "sub/one.mp4")
    os.mkfifo(tmp_path / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.png"))
        (tmp_path / "round.jpg").symlink_to("round2.jpg")
        (tmp_path / "round2.jpg").symlink_to("round.jpg")
        (tmp_path / "gone.jpg").symlink_to("nowhere")
        (tmp_path / "sub" / "up").symlink_to(tmp_path)
        (tmp_path / "zero.jpg").symlink_to("/dev/zero")
        (tmp_path / "linked.jpg").symlink_to("good.jpg")
        listing = list_files(str(tmp_path))
    assert [file.name for file in listing.files] == ["good.jpg", "linked.jpg", "sub/one.mp4"]
    assert sorted(name for name, _ in listing.unreadable) == ["gone.jpg", "round.jpg", "round2.jpg"]
    assert listing.passed_over == 4


def test_names_of_any_bytes(tmp_path: Path) -> None:
    for name in (b"\xff\xfe.jpg", b"line\nbreak.jpg", b"\x1b[31mred.jpg", b"%s%n.jpg"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(b"x")
    assert len(names(tmp_path)) == 4


def test_folders_deeper_than_the_interpreter_recurses(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    try:
        for _ in range(1200):
            os.mkdir("d", dir_fd=here)
            below = os.open("d", os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        os.close(os.open("deep.jpg", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    finally:
        os.close(here)
    try:
        assert names(tmp_path) == ["d/" * 1200 + "deep.jpg"]
    finally:  # Python's own rmtree recurses
        subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)


def test_a_folder_that_has_vanished_is_told(tmp_path: Path) -> None:
    assert list_files(str(tmp_path / "gone")).unreadable == [("", "No such file or directory")]


def test_what_a_file_is(tmp_path: Path) -> None:
    fill(tmp_path, "a.MP4")
    os.utime(tmp_path / "a.MP4", ns=(0, -5_000_000_000))
    assert card_file(str(tmp_path), "a.MP4") == CardFile("a.MP4", 1, -5_000_000_000, True)
    assert card_file(str(tmp_path), "a.txt") is None


def test_photos_and_videos_that_count_together_stay_in_the_order_of_their_names() -> None:
    files = [CardFile(f"IMG_{n}.{end}", 1, 100 - n, end == "AVI") for n, end in ((1, "JPG"), (2, "AVI"), (10, "JPG"))]
    assert in_order(reversed(files)) == files


def test_photos_and_videos_that_count_apart_are_merged_by_their_dates() -> None:
    photos = [CardFile(f"100MEDIA/IMG_{n}.JPG", 1, n * 10, False) for n in range(1, 5)]
    videos = [CardFile(f"100MEDIA/VID_{n}.MP4", 1, n * 20 + 5, True) for n in range(1, 3)]
    other = [CardFile("101MEDIA/IMG_5.JPG", 1, 0, False)]
    assert [file.name[9:] for file in in_order(photos + videos + other)] == [
        *("IMG_1.JPG", "IMG_2.JPG", "VID_1.MP4", "IMG_3.JPG", "IMG_4.JPG", "VID_2.MP4", "IMG_5.JPG")
    ]
