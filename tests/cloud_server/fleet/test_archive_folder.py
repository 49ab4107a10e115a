from __future__ import annotations

from pathlib import Path

import pytest

from cloud_server.fleet.archive_folder import ANSWERS, ArchiveFolder, append_line, safe_name
from edge_sdk.errors import ConfigError


def test_what_is_written_is_counted_and_found_again(tmp_path: Path) -> None:
    folder = ArchiveFolder(tmp_path / "archive")
    folder.write("2026-11-21/one.jpg", b"12345", b"{}\n")
    folder.write("2026-11-21/one.jpg", b"other", b"[]\n")  # an id is archived once
    assert (folder.bytes, folder.names) == (8, {"one"})
    assert folder.has_room(92, 100) and not folder.has_room(93, 100)
    folder.close()
    again = ArchiveFolder(tmp_path / "archive")
    assert (again.bytes, again.names) == (8, {"one"})
    again.close()


def test_one_server_at_a_time(tmp_path: Path) -> None:
    folder = ArchiveFolder(tmp_path)
    with pytest.raises(ConfigError, match="another server archives its frames there"):
        ArchiveFolder(tmp_path)
    folder.close()
    ArchiveFolder(tmp_path).close()


def test_a_picture_whose_line_cannot_be_written_goes(tmp_path: Path) -> None:
    folder = ArchiveFolder(tmp_path)
    (tmp_path / ANSWERS).mkdir()
    with pytest.raises(OSError):
        folder.write("2026-11-21/one.jpg", b"12345", b"{}\n")
    assert (folder.bytes, folder.names) == (0, set())
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
