"""Copying what can still be read of a damaged database into a fresh one."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from edge_sdk.durable.ballast import is_full
from edge_sdk.durable.database import readable, transaction
from edge_sdk.durable.wal import is_damaged, mend

_log = logging.getLogger(__name__)

_SALVAGE_STEPS = 100
_TRIM_EVERY = 500


def salvage(
    damaged: Path,
    connection: sqlite3.Connection,
    *,
    table: str,
    key: str,
    more: Callable[[sqlite3.Connection], None] | None = None,
    trim: Callable[[], int] | None = None,
) -> int:
    """Copy into `connection` the rows of a damaged file that can still be read.

    The table is walked by its integer key, never by an index; where a page cannot be read, its rows are skipped. A
    schema that is not as in `connection` counts as damaged: columns may have been added since, at the end of a table.

    Args:
        damaged: the file, with its write-ahead log beside it.
        connection: the fresh database, with the same tables, within a transaction.
        table: its name.
        key: its INTEGER PRIMARY KEY.
        more: called with the damaged file after that, to take what else it holds, unless rows were deleted.
        trim: called now and then; deletes rows for which there is no room, and returns how many.

    Returns:
        The number of rows copied.

    Raises:
        OSError, sqlite3.Error: the disk is full.
    """
    copied = dropped = 0
    try:
        if is_damaged(damaged):
            mend(damaged)
        _restore_schema(damaged, connection)
        with closing(sqlite3.connect(damaged, isolation_level=None)) as source:
            source.text_factory = readable
            names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            there = {row[1] for row in source.execute(f"PRAGMA table_info({table})")}
            found = [name for name in names if name in there]
            columns, marks = ", ".join(found), ", ".join(f":{name}" for name in found)
            put = f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({marks})"
            for row in _readable_rows(source, f"SELECT {key}, {columns} FROM {table} NOT INDEXED", key):
                values = dict(zip(found, row[1:], strict=True))
                copied += _copy(connection, put, values, key)
                if trim is not None and copied % _TRIM_EVERY == 0:
                    dropped += trim()
            if trim is not None:
                dropped += trim()
            if more is not None and not dropped:
                more(source)
    except (OSError, sqlite3.Error, UnicodeDecodeError) as error:
        if is_full(error, damaged.parent):
            raise
        _log.error("%s cannot be read: %s", damaged, error)
    _log.warning("%d rows were saved from %s", copied - dropped, damaged.name)
    if dropped:
        _log.error("%d rows of %s are lost: the disk has no room for them", dropped, damaged.name)
    return copied - dropped


def rows_of(damaged: Path, table: str, key: str) -> list[tuple[Any, ...]]:
    """What can be read of a small table of a damaged file, from either end; values may be damaged too.

    Raises:
        OSError, sqlite3.Error: the disk is full.
    """
    found: dict[Any, tuple[Any, ...]] = {}
    try:
        if is_damaged(damaged):
            mend(damaged)
        with closing(sqlite3.connect(damaged, isolation_level=None)) as source:
            source.text_factory = readable
            for order in ("ASC", "DESC"):
                try:
                    for row in source.execute(f"SELECT {key}, * FROM {table} ORDER BY {key} {order}"):
                        found[row[0]] = row[1:]
                    break
                except (sqlite3.Error, UnicodeDecodeError) as error:
                    if is_full(error, damaged.parent):
                        raise
    except (OSError, sqlite3.Error, UnicodeDecodeError) as error:
        if is_full(error, damaged.parent):
            raise
        _log.error("%s cannot be read: %s", damaged, error)
    return list(found.values())


def _copy(connection: sqlite3.Connection, put: str, values: dict[str, Any], key: str) -> int:
    """Insert a row, and return 1; 0 for one that the table does not take."""
    try:
        taken = connection.execute(put, values).rowcount
        return taken or connection.execute(put, {**values, key: None}).rowcount  # a damaged key
    except (sqlite3.Error, TypeError) as error:
        if not connection.in_transaction:  # a full disk
            raise
        _log.debug("a row cannot be saved: %s", error)
        return 0


def _restore_schema(damaged: Path, connection: sqlite3.Connection) -> None:
    """Give a damaged file the schema of `connection`, whose statements made its tables in the same order."""
    every = "SELECT type, name, tbl_name, rootpage, sql FROM sqlite_master"
    try:
        with closing(sqlite3.connect(damaged, isolation_level=None)) as file:
            file.text_factory = readable
            file.execute("PRAGMA writable_schema=ON")  # so that one that cannot be parsed can be changed
            right = connection.execute(every).fetchall()
            if file.execute(every).fetchall() != right:
                with transaction(file):
                    file.execute("DELETE FROM sqlite_master")
                    file.executemany("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", right)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        if is_full(error, damaged.parent):
            raise
        _log.error("the schema of %s cannot be restored: %s", damaged, error)


def _readable_rows(source: sqlite3.Connection, select: str, key: str) -> Iterator[tuple[Any, ...]]:
    """The rows of a damaged table by their key, those that cannot be read left out; their first column is the key."""
    walk = f"{select} WHERE {key} > ? ORDER BY {key} LIMIT ?"
    at, failures, one = 0, 0, False
    while failures < _SALVAGE_STEPS:
        found = False
        try:
            for row in source.execute(walk, [at, 1 if one else -1]):
                found = True
                at, failures = max(at, row[0]), 0
                yield row
            if not (one and found):
                return
            one = False
        except (sqlite3.Error, TypeError, UnicodeDecodeError):
            if one:
                failures += 1
                at += 1 if failures <= 64 else 2 ** (failures - 64)
            one = True  # the module reads a row ahead: alone, the one before the damage is given too
