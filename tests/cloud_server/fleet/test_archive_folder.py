from __future__ import annotations

import os
from pathlib import Path

import pytest
from archive_parts import size_of

from cloud_server.fleet.archive_folder import ANSWERS, ArchiveFolder, append_line, safe_name
from edge_sdk.errors import ConfigError


def test_what_is_written_is_counted_as_the_disk_does_and_found_again(tmp_path: Path) -> None:
    folder = ArchiveFolder(tmp_path / "archive")
    empty = folder.bytes
    folder.write("2026-11-21/one.jpg", b"12345", b"{}\n")
    held = folder.bytes
    folder.write("2026-11-21/one.jpg", b"other", b"[]\n")  # an id is archived once
    assert (folder.bytes, folder.names) == (held, {"one"})
    assert held - empty <= folder.cost(5, 3)
    os.sync()
    assert held >= size_of(tmp_path / "archive") > 2 * 5
    assert (tmp_path / "archive" / "2026-11-21" / "one.jpg").read_bytes() == b"12345"
    assert folder.has_room(0, size_of(tmp_path / "archive"))
    assert not folder.has_room(1, size_of(tmp_path / "archive"))
    folder.close()
    again = ArchiveFolder(tmp_path / "archive")
    assert (again.bytes, again.names) == (size_of(tmp_path / "archive"), {"one"})
    again.close()


def test_all_in_the_folder_counts_but_no_holes_and_nothing_behind_links(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "big").write_bytes(b"x" * 1_000_000)
    home = tmp_path / "archive"
    (home / "old" / "2026-11-01").mkdir(parents=True)
    (home / "old" / "2026-11-01" / "a.jpg").write_bytes(b"x" * 100_000)
    (home / "2026-11-20").symlink_to(tmp_path / "elsewhere")
    with (home / "sparse").open("wb") as file:
        file.truncate(1 << 30)
    os.sync()
    folder = ArchiveFolder(home)
    assert folder.bytes == size_of(home)
    assert 100_000 <= folder.bytes < 200_000
    assert folder.names == {"big"}  # archived, though moved to another disk
    folder.close()


def test_what_a_kill_cut_off_is_removed(tmp_path: Path) -> None:
    day = tmp_path / "2026-11-21"
    day.mkdir()
    (day / ".one.4711.partial.jpg").write_bytes(b"half")
    (day / "two.jpg").write_bytes(b"whole")
    ArchiveFolder(tmp_path).close()
    assert [file.name for file in day.iterdir()] == ["two.jpg"]


def test_one_server_at_a_time(tmp_path: Path) -> None:
    folder = ArchiveFolder(tmp_path)
    with pytest.raises(ConfigError, match="another server archives its frames there"):
        ArchiveFolder(tmp_path)
    folder.close()
    ArchiveFolder(tmp_path).close()


def test_a_picture_whose_line_cannot_be_written_goes(tmp_path: Path) -> None:
    folder = ArchiveFolder(tmp_path)
    empty = folder.bytes
    (tmp_path / ANSWERS).mkdir()
    with pytest.raises(OSError):
        folder.write("2026-11-21/one.jpg", b"12345", b"{}\n")
    assert (folder.bytes, folder.names) == (empty, set())
    assert not (tmp_path / "2026-11-21" / "one.jpg").exists()
    folder.close()


def test_a_line_that_a_crash_cut_off_is_ended_first(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.write_bytes(b"whole\nhal")
    assert append_line(file, b"next\n") == 6
    assert file.read_bytes() == b"whole\nhal\nnext\n"


@pytest.mark.parametrize("frame_id", ["../etc", "A" * 32, "", "a" * 65, "\udcff"])
def test_odd_ids_become_safe_names(frame_id: str) -> None:
    assert safe_name(frame_id).isalnum() and len(safe_name(frame_id)) == 32
    assert safe_name("019aa3c4f0e27a6c8d5f6b0e3a914c27") == "019aa3c4f0e27a6c8d5f6b0e3a914c27"
