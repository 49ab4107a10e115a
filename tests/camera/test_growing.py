from __future__ import annotations

from pathlib import Path

from edge_sdk.camera.files import list_files
from edge_sdk.camera.growing import SETTLED_S, WholeFiles


def taken(whole: WholeFiles, folder: Path, now_s: float) -> list[str]:
    return [file.name for file in whole.take(list_files(str(folder)).files, now_s)]


def test_a_file_is_taken_once_when_it_has_settled(tmp_path: Path) -> None:
    whole = WholeFiles(str(tmp_path))
    (tmp_path / "a.jpg").write_bytes(b"half")
    assert taken(whole, tmp_path, 0.0) == []
    (tmp_path / "a.jpg").write_bytes(b"half and half")
    assert taken(whole, tmp_path, SETTLED_S) == []
    assert taken(whole, tmp_path, 2 * SETTLED_S) == ["a.jpg"]
    assert taken(whole, tmp_path, 99.0) == []


def test_a_file_that_changes_afterwards_comes_again(tmp_path: Path) -> None:
    whole = WholeFiles(str(tmp_path))
    (tmp_path / "a.jpg").write_bytes(b"one")
    taken(whole, tmp_path, 0.0)
    assert taken(whole, tmp_path, 5.0) == ["a.jpg"]
    (tmp_path / "a.jpg").write_bytes(b"another")
    assert taken(whole, tmp_path, 6.0) == []
    assert taken(whole, tmp_path, 9.0) == ["a.jpg"]


def test_a_file_that_is_open_for_writing_is_left_for_later(tmp_path: Path) -> None:
    whole = WholeFiles(str(tmp_path))
    with (tmp_path / "a.jpg").open("wb") as file:
        file.write(b"half")
        file.flush()
        taken(whole, tmp_path, 0.0)
        assert taken(whole, tmp_path, 50.0) == []
    assert taken(whole, tmp_path, 51.0) == ["a.jpg"]


def test_a_file_that_was_finished_while_the_folder_was_searched_comes_once(tmp_path: Path) -> None:
    whole = WholeFiles(str(tmp_path))
    (tmp_path / "a.jpg").write_bytes(b"half")
    searched = list_files(str(tmp_path)).files
    whole.take(searched, 0.0)
    (tmp_path / "a.jpg").write_bytes(b"half and half")
    assert whole.take(searched, 5.0) == []
    assert taken(whole, tmp_path, 6.0) == []
    assert taken(whole, tmp_path, 9.0) == ["a.jpg"]


def test_a_file_that_could_not_be_read_is_tried_again_with_growing_pauses(tmp_path: Path) -> None:
    whole = WholeFiles(str(tmp_path))
    (tmp_path / "a.jpg").write_bytes(b"half")
    (file,) = list_files(str(tmp_path)).files
    assert not whole.try_again(file, 0.0)
    taken(whole, tmp_path, 0.0)
    at, tries = SETTLED_S, []
    while taken(whole, tmp_path, at):
        tries.append(at)
        if not whole.try_again(file, at):
            break
        assert taken(whole, tmp_path, at + SETTLED_S) == []
        at += SETTLED_S * 2 ** len(tries)
    assert len(tries) == 3
    assert taken(whole, tmp_path, at + 1000) == []
