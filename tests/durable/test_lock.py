"""One process at a time for a folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edge_sdk.durable.lock import FolderLock, turn
from edge_sdk.errors import StorageError

_HOLD = """
import sys
from pathlib import Path
from edge_sdk.durable.lock import FolderLock
lock = FolderLock(Path(sys.argv[1]), "a folder")
print("held", flush=True)
sys.stdin.read()
"""


def test_the_holder_is_named_and_a_kill_releases(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with pytest.raises(
            StorageError,
            match=f"expected a folder that is free at .*; process {other.pid} \\(.*python.* -c .*\\) holds it",
        ):
            FolderLock(tmp_path, "a folder")
        other.kill()
    lock = FolderLock(tmp_path, "a folder")
    with pytest.raises(StorageError, match="this process has it open already"):
        FolderLock(tmp_path, "a folder")
    lock.close()
    lock.close()
    FolderLock(tmp_path, "a folder").close()


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="expected a folder that can be written"):
        FolderLock(tmp_path / "none", "a folder")


def test_a_turn_that_does_not_come_is_told(tmp_path: Path) -> None:
    with (
        turn(tmp_path),
        pytest.raises(TimeoutError, match="another process holds the folder"),
        turn(tmp_path, wait_s=0),
    ):
        pass
    with turn(tmp_path, wait_s=0):
        pass
    assert list(tmp_path.iterdir()) == []
