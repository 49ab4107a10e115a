"""What is done to the disk of a device that is down, or running: bit flips, and no room."""

from __future__ import annotations

import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_sdk.errors import StorageError
from edge_sdk.store.journal import Journal, JournalEntry


def flip_bit(path: Path, chance: random.Random) -> None:
    """Turn one bit of a file round."""
    with path.open("r+b") as file:
        at = chance.randrange(path.stat().st_size)
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1 << chance.randrange(8)]))


def databases(state: Path) -> list[Path]:
    """The SQLite files of a device and their logs, without those set aside."""
    found = [path for pattern in ("*.db*", "*.sqlite3*") for path in state.rglob(pattern)]
    return sorted(
        path for path in found if "damaged" not in path.name and path.suffix[-4:] != "-shm" and path.stat().st_size
    )


def final_answers(state: Path) -> set[str]:
    """The ids that the journal of a device that is down has a final answer for, read from a copy."""
    with tempfile.TemporaryDirectory() as folder:
        for path in state.glob("journal.db*"):
            if "damaged" not in path.name:
                shutil.copy(path, folder)
        try:
            with Journal(Path(folder) / "journal.db") as journal:
                return {entry.answer.frame_id for entry in all_entries(journal) if entry.answer.final}
        except StorageError:  # nothing is known of it
            return set()


def all_entries(journal: Journal) -> list[JournalEntry]:
    """Everything in a journal; where it turns out to be damaged, everything that was saved of it."""
    try:
        return list(journal.query())
    except StorageError:
        return list(journal.query())


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[bool]:
    """A tmpfs of its own at `folder`, so that a full disk is truly full; False where that is not allowed."""
    folder.mkdir()
    options = f"size={megabytes}m"
    mounted = shutil.which("mount") is not None and (
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True).returncode == 0
    )
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", folder], check=True)


def fill_up(folder: Path) -> None:
    """Leave no byte free in `folder`'s file system."""
    with (folder / "filler").open("wb", buffering=0) as file:
        for size in (65_536, 512, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                pass
