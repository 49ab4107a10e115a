"""Pictures taken out of the archive of a device that does not run."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from edge_sdk.durable.database import transaction
from edge_sdk.durable.files import remove
from edge_sdk.errors import StorageError
from edge_sdk.store.frames import SUFFIX
from edge_sdk.store.recovery import ARCHIVE
from edge_sdk.store.schema import ARCHIVED
from edge_sdk.store.table import FILE


def beyond(folder: Path, most_bytes: int) -> list[str]:
    """The pictures that a smaller archive would let go: the lowest rank first, until at most `most_bytes` are left.

    Raises:
        StorageError: the table cannot be read.
    """
    try:
        with closing(sqlite3.connect(f"{(folder / FILE).absolute().as_uri()}?mode=ro", uri=True)) as reader:
            rows = reader.execute(f"SELECT frame_id, bytes FROM frames WHERE {ARCHIVED} ORDER BY rank").fetchall()
    except sqlite3.Error as error:
        raise StorageError(f"cannot read {folder / FILE}: {error}") from error
    left, going = sum(size for _, size in rows), list[str]()
    for frame_id, size in rows:
        if left <= most_bytes:
            break
        going.append(frame_id)
        left -= size
    return going


def prune(folder: Path, frame_ids: Sequence[str]) -> None:
    """Take pictures out of the archive; what was answered stays in the journal.

    The rows are changed first, in one transaction. Where that was all, the next start of the device removes the files.

    Args:
        folder: the state folder; the caller holds its lock.
        frame_ids: the frames. What waits for the cloud stays.

    Raises:
        StorageError: the table cannot be written.
    """
    gone: list[str] = []
    change = f"UPDATE frames SET picture = NULL, rank = 0 WHERE frame_id = ? AND {ARCHIVED}"
    try:
        with closing(sqlite3.connect(folder / FILE, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = FULL")
            with transaction(connection):
                gone += [one for one in frame_ids if connection.execute(change, (one,)).rowcount]
    except sqlite3.Error as error:
        raise StorageError(f"cannot write {folder / FILE}: {error}") from error
    for frame_id in gone:
        remove(folder / ARCHIVE / f"{frame_id}{SUFFIX}")
