from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

import pytest

from edge_sdk.durable import ballast as module
from edge_sdk.durable.ballast import Ballast, is_full

MEBIBYTE = 1 << 20


def blocks(path: Path) -> int:
    return path.stat().st_blocks * 512


def test_room_is_set_by_given_up_and_set_by_again(tmp_path: Path) -> None:
    path = tmp_path / "ballast"
    ballast = Ballast(path)
    for _ in range(2):
        assert ballast.keep()
        assert path.stat().st_size == MEBIBYTE
        assert blocks(path) >= MEBIBYTE
        ballast.give_up()
        assert not path.exists()
    ballast.give_up()


def test_room_that_is_there_is_not_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "ballast"
    assert Ballast(path).keep()
    before = path.stat()
    assert Ballast(path).keep()
    assert path.stat().st_ino == before.st_ino
    assert path.stat().st_mtime_ns == before.st_mtime_ns


def test_room_that_a_stop_left_unfinished_is_set_by_anew(tmp_path: Path) -> None:
    path = tmp_path / "ballast"
    path.write_bytes(bytes(1000))
    assert Ballast(path).keep()
    assert path.stat().st_size == MEBIBYTE


def test_the_last_of_the_disk_is_not_set_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "free_bytes", lambda _: MEBIBYTE + 1000)
    assert not Ballast(tmp_path / "ballast").keep()
    assert not (tmp_path / "ballast").exists()


def test_a_folder_that_cannot_be_written_sets_nothing_by(tmp_path: Path) -> None:
    assert not Ballast(tmp_path / "nowhere" / "ballast").keep()


def test_what_a_full_disk_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def error(code: int) -> sqlite3.Error:
        made = sqlite3.OperationalError("said")
        made.sqlite_errorcode = code
        return made

    assert is_full(OSError(errno.ENOSPC, "full"), tmp_path)
    assert is_full(OSError(errno.EDQUOT, "quota"), tmp_path)
    assert not is_full(OSError(errno.EIO, "input/output"), tmp_path)
    assert is_full(error(sqlite3.SQLITE_FULL), tmp_path)
    assert not is_full(error(sqlite3.SQLITE_BUSY), tmp_path)
    assert not is_full(error(sqlite3.SQLITE_IOERR_SHMSIZE), tmp_path)
    monkeypatch.setattr(module, "free_bytes", lambda _: 0)
    assert is_full(error(sqlite3.SQLITE_IOERR_SHMSIZE), tmp_path)
