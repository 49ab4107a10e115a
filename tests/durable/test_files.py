"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from edge_sdk.durable.files import move, write_whole


@pytest.mark.parametrize("durable", [True, False])
def test_a_file_is_written_and_replaced_and_its_folder_made(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "new" / "file.txt"
    for content in (b"bytes", "tex\u00e4t"):
        write_whole(path, content, durable=durable)
    assert path.read_text(encoding="utf-8") == "tex\u00e4t"
    write_whole(path.with_suffix(".npy"), lambda fresh: np.save(fresh, np.arange(3)))
    assert np.load(path.with_suffix(".npy")).tolist() == [0, 1, 2]
    assert {file.name for file in path.parent.iterdir()} == {"file.txt", "file.npy"}


def test_what_cannot_be_written_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail(fresh: Path) -> None:
        fresh.write_text("half")
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        write_whole(path, fail)
    assert [file.name for file in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "old"


def test_permissions_are_narrow_from_the_first_byte_on(tmp_path: Path) -> None:
    modes = []

    def write(fresh: Path) -> None:
        modes.append(fresh.stat().st_mode & 0o777)
        fresh.write_text("secret")

    write_whole(tmp_path / "file", write, mode=0o640)
    assert modes == [0o600]
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_durable_files_are_synced_before_and_after_the_renaming(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def sync(fd: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{fd}"))
        real(fd)

    monkeypatch.setattr(os, "fsync", sync)
    write_whole(tmp_path / "file", b"content", durable=True)
    assert [Path(name).name for name in synced] == [f".file.{os.getpid()}.partial", tmp_path.name]


def test_a_file_that_cannot_be_moved_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    move(tmp_path / "none", None)
    assert caplog.text == ""
    move(tmp_path / "none", tmp_path / "other")
    assert "cannot move" in caplog.text
