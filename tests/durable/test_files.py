"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from edge_sdk.durable.files import IrregularFile, file_version, move, open_regular, rewrite, write_whole


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


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def owner_of(path: Path) -> tuple[int, int, int]:
    seen = path.stat()
    return seen.st_uid, seen.st_gid, stat.S_IMODE(seen.st_mode)


@needs_root
def test_a_file_that_root_rewrites_stays_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old\n")
    os.chown(path, 1234, 5678)
    path.chmod(0o640)
    rewrite(path, b"new\n")
    assert owner_of(path) == (1234, 5678, 0o640)
    assert path.read_bytes() == b"new\n"
    os.chown(tmp_path, 1234, 5678)
    rewrite(tmp_path / "fresh", b"new\n")
    assert owner_of(tmp_path / "fresh") == (1234, 5678, 0o600)


def test_a_link_stays_a_link_and_a_hard_link_one_file(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    real, link, other = tmp_path / "elsewhere" / "real", tmp_path / "link", tmp_path / "other"
    real.write_bytes(b"old, and longer\n")
    link.symlink_to(Path("elsewhere") / "real")
    rewrite(link, b"new\n")
    assert link.is_symlink()
    assert real.read_bytes() == b"new\n"
    os.link(real, other)
    rewrite(link, b"newer\n")
    assert (real.read_bytes(), other.read_bytes()) == (b"newer\n", b"newer\n")
    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "elsewhere" / "fresh")
    rewrite(dangling, b"first\n")
    assert (tmp_path / "elsewhere" / "fresh").read_bytes() == b"first\n"


@needs_root
def test_who_may_write_the_file_but_not_give_it_away_writes_over_it(request: pytest.FixtureRequest) -> None:
    folder = tempfile.TemporaryDirectory()  # pytest's own are closed to other users
    request.addfinalizer(folder.cleanup)
    path = Path(folder.name) / "file"
    path.write_bytes(b"old, and longer than the new one\n")
    os.chown(path, 1234, 5678)
    path.chmod(0o660)
    path.parent.chmod(0o777)
    code = (
        "import os, sys; from pathlib import Path; from edge_sdk.durable.files import rewrite\n"
        "os.setgroups([5678]); os.setgid(5678); os.setuid(4321); rewrite(Path(sys.argv[1]), b'new\\n')"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    assert owner_of(path) == (1234, 5678, 0o660)
    assert path.read_bytes() == b"new\n"
    assert [file.name for file in path.parent.iterdir()] == ["file"]


def test_extended_attributes_stay(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old\n")
    try:
        os.setxattr(path, "user.note", b"mine")
    except (OSError, AttributeError):
        pytest.skip("no extended attributes here")
    rewrite(path, b"new\n")
    assert os.getxattr(path, "user.note") == b"mine"


def test_a_regular_file_alone_is_opened_and_nothing_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    with open_regular(tmp_path / "file") as file:
        assert file.read() == b"content"
    os.mkfifo(tmp_path / "pipe")
    for path, kind in ((tmp_path, "a folder"), (tmp_path / "pipe", "a pipe or a device"), ("/dev/null", "a pipe or")):
        with pytest.raises(IrregularFile, match=kind), open_regular(path):
            pass
    with pytest.raises(FileNotFoundError), open_regular(tmp_path / "none"):
        pass


def test_a_version_changes_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert file_version(path) is None
    path.write_bytes(b"one")
    first = file_version(path)
    assert first is not None and file_version(path) == first
    path.with_name("other").write_bytes(b"two")
    path.with_name("other").replace(path)
    assert file_version(path) != first
    path.chmod(0o600 if path.stat().st_mode & 0o077 else 0o644)
    assert file_version(path) not in (None, first)
