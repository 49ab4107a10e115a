"""What is done to the disk of a device that is down, or running: faults of memory cards, flipped bits, and no room.

Cards fail by the page and the sector: a page that was being written when the power went is half old and half new, or
reads as zeros; a file ends too early; a file stands as it was some seconds ago. Single flipped bits are what RAM does.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_sdk.errors import StorageError
from edge_sdk.store.journal import Journal, JournalEntry
from edge_sdk.store.salvage import rows_in
from edge_sdk.store.schema import SCHEMA, State

PAGE = 4096


def flip_bit(path: Path, chance: random.Random) -> None:
    """Turn one bit of a file round."""
    with path.open("r+b") as file:
        at = chance.randrange(path.stat().st_size)
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1 << chance.randrange(8)]))


def zero_page(path: Path, chance: random.Random) -> None:
    """One page of a file reads as zeros."""
    _overwrite(path, chance, lambda page: bytes(len(page)))


def tear_page(path: Path, chance: random.Random) -> None:
    """Of one page, the later sectors are another page's of the same file: what stood there before."""
    content = path.read_bytes()
    other = content[chance.randrange((len(content) - 1) // PAGE + 1) * PAGE :][:PAGE]
    cut = 512 * chance.randrange(1, 8)
    _overwrite(
        path, chance, lambda page: page[:cut] + other[cut : len(page)].ljust(len(page) - cut, b"\0")[: len(page) - cut]
    )


def cut_short(path: Path, chance: random.Random) -> None:
    """A file ends too early."""
    os.truncate(path, chance.randrange(path.stat().st_size))


PAGE_FAULTS = (zero_page, tear_page)


def _overwrite(path: Path, chance: random.Random, change: Callable[[bytes], bytes]) -> None:
    with path.open("r+b") as file:
        at = chance.randrange((path.stat().st_size - 1) // PAGE + 1) * PAGE
        file.seek(at)
        page = file.read(PAGE)
        file.seek(at)
        file.write(change(page))


def databases(state: Path) -> list[Path]:
    """The SQLite files of a device and their logs, without those set aside."""
    return sorted(
        path
        for path in state.glob("*.db*")
        if "damaged" not in path.name and not path.name.endswith("-shm") and path.stat().st_size
    )


def save_table(state: Path, folder: Path) -> None:
    """Keep the table as it is now."""
    folder.mkdir(exist_ok=True)
    for path in [*folder.iterdir(), *state.glob("state.db*")]:
        if path.parent == folder:
            path.unlink()
        elif "damaged" not in path.name and not path.name.endswith("-shm"):
            shutil.copy(path, folder)


def restore_table(state: Path, folder: Path) -> None:
    """The table is as it was when it was kept, whatever was synced since."""
    if (folder / "state.db").exists():
        for path in state.glob("state.db*"):
            if "damaged" not in path.name:
                path.unlink()
        for path in folder.iterdir():
            shutil.copy(path, state)


def final_answers(state: Path) -> set[str]:
    """The ids that the table of a device that is down has a final answer for, read from a copy.

    A table that an earlier fault has damaged is read page by page too: the device would find as much in it.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_table(state, folder)
        found = {
            row[1]
            for row in rows_in(folder / "state.db", _columns(), 1024)
            if isinstance(row[1], str) and row[2] not in (State.WAITING, State.SENT)
        }
        with contextlib.suppress(StorageError):  # what follows the damage is not known
            for entry in Journal(folder).query(final=True):
                found.add(entry.answer.frame_id)
        return found


def _columns() -> int:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(SCHEMA[0])
        return len(connection.execute("PRAGMA table_info(frames)").fetchall())


def all_entries(state: Path) -> list[JournalEntry]:
    """Everything in the journal of a device that is down."""
    return list(Journal(state).query())


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
