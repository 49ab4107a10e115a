"""Opening the SQLite files of the device: durable commits, a schema version, and a damaged file set aside."""

from __future__ import annotations

import logging
import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from edge_sdk.errors import StorageError
from edge_sdk.wal import is_damaged, mend

_log = logging.getLogger(__name__)

_CREATED = re.compile(r"\s*CREATE (?:TABLE|INDEX) (?:IF NOT EXISTS )?(\w+)")

_PAGE_BYTES = 1024  # a commit writes whole pages, a few rows each time: small ones spare the SD card
_SALVAGE_STEPS = 100
_LOOKS, _BETWEEN_LOOKS_S = 3, 0.05


def is_damage(error: Exception) -> bool:
    """Whether `error` says that the file itself is damaged (not that it is locked, or the disk full).

    A table or column that is not there is damage too: a flipped bit in its name.
    """
    if isinstance(error, sqlite3.OperationalError) and re.match(r"no such|table \w+ has no column", str(error)):
        return True
    if isinstance(error, UnicodeDecodeError):  # of SQLite's own message on a name that is no text any more
        return True
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def open_database(
    path: Path,
    *,
    schema: tuple[str, ...],
    version: int,
    exclusive: bool,
    fill: Callable[[sqlite3.Connection], None] | None = None,
    save: Callable[[Path, sqlite3.Connection], None] | None = None,
    read: Callable[[sqlite3.Connection], None] | None = None,
    checks_log: bool = False,
) -> sqlite3.Connection:
    """Open or create a database in WAL mode whose commits are on the disk when they return.

    A damaged file is renamed to `NAME.damaged-UNIXTIME` beside it, logged, and replaced by a fresh one.

    Args:
        path: the file; its folder is created.
        schema: the statements that create the tables; run on a file of an older version too.
        version: number of the schema, kept in `user_version`.
        exclusive: hold the file for this connection alone; otherwise other processes may read and write it.
        fill: called after `schema`, within the same transaction.
        save: called after that with the damaged file, where there was one.
        read: called with the opened database; where it meets damage, or values that it can make nothing of (ValueError,
            TypeError, OverflowError), the file counts as damaged.
        checks_log: a write-ahead log that was damaged after it had been whole counts as damage, where SQLite would drop
            its end without a word. Only for a file whose every commit is synced.

    Raises:
        StorageError: the file cannot be opened, is held by another process, or has a newer schema.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            if checks_log and _log_is_damaged(path):
                raise _damage("the write-ahead log is damaged")
            return _read(_open(path, schema, version, exclusive, fill), read)
        except (sqlite3.DatabaseError, ValueError, TypeError, OverflowError) as error:
            if isinstance(error, sqlite3.Error) and not is_damage(error):
                raise
            aside = set_aside(path)
            _log.error("%s is damaged (%s): set aside as %s, a fresh one is begun", path, error, aside.name)

            def fill_and_save(connection: sqlite3.Connection) -> None:
                if fill is not None:
                    fill(connection)
                if save is not None:
                    save(aside, connection)

            return _read(_open(path, schema, version, exclusive, fill_and_save), read)
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
            raise StorageError(f"expected {path} to be free; another process holds it") from error
        raise StorageError(f"cannot open {path}: {error}") from error
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"cannot open {path}: {error}") from error


def set_aside(path: Path) -> Path:
    """Rename a damaged database, with its WAL, to `NAME.damaged-UNIXTIME`; return the new path."""
    aside = path.with_name(f"{path.name}.damaged-{time.time_ns() // 1_000_000_000}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.damaged-{time.time_ns() // 1_000_000_000}-{number}")
    os.replace(path, aside)
    for suffix in ("-wal", "-shm"):
        companion = path.with_name(path.name + suffix)
        if companion.exists():
            os.replace(companion, aside.with_name(aside.name + suffix))
    return aside


def salvage(
    damaged: Path,
    connection: sqlite3.Connection,
    *,
    table: str,
    key: str,
    more: Callable[[sqlite3.Connection], None] | None = None,
) -> int:
    """Copy into `connection` the rows of a damaged file that can still be read.

    The table is walked by its integer key, never by an index; where a page cannot be read, its rows are skipped. A
    schema that is not as in `connection` counts as damaged: columns may have been added since, at the end of a table.

    Args:
        damaged: the file, with its write-ahead log beside it.
        connection: the fresh database, with the same tables, within a transaction.
        table: its name.
        key: its INTEGER PRIMARY KEY.
        more: called with the damaged file after that, to take what else it holds.

    Returns:
        The number of rows copied.
    """
    copied = 0
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
                with suppress(sqlite3.Error, TypeError):  # a value that the table does not take
                    taken = connection.execute(put, values).rowcount
                    copied += taken or connection.execute(put, {**values, key: None}).rowcount  # a damaged key
            if more is not None:
                more(source)
    except (OSError, sqlite3.Error, UnicodeDecodeError) as error:
        _log.error("%s cannot be read: %s", damaged, error)
    _log.warning("%d rows were saved from %s", copied, damaged.name)
    return copied


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


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def readable(content: bytes) -> str:
    """Text as SQLite keeps it; damaged bytes are replaced, so that the rest of the row can be read and judged."""
    return content.decode("utf-8", "replace")


def storable(text: str) -> str:
    """`text` with what has no UTF-8 form (bytes of a file name that is not UTF-8) written as an escape."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All statements within are committed together, or none is."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _open(
    path: Path,
    schema: tuple[str, ...],
    version: int,
    exclusive: bool,
    fill: Callable[[sqlite3.Connection], None] | None,
) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=0.5 if exclusive else 10.0, isolation_level=None, check_same_thread=False
    )
    connection.text_factory = readable
    try:
        if exclusive:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute(f"PRAGMA page_size={_PAGE_BYTES}")  # of a fresh file; an older one keeps its own
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        with transaction(connection):
            (found,) = connection.execute("PRAGMA user_version").fetchone()
            if found > version:
                raise StorageError(f"expected schema {version} or older in {path}; got {found}, of a newer edge_sdk")
            if found < version:
                for statement in schema:
                    connection.execute(statement)
                if fill is not None:
                    fill(connection)
                connection.execute(f"PRAGMA user_version={version}")
        if exclusive and connection.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
            raise _damage("integrity_check failed")
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        created = {match[1] for match in map(_CREATED.match, schema) if match}
        if missing := created - names:
            raise _damage(f"no {', '.join(sorted(missing))}")
        if found == 0:
            sync_folder(path.parent)
    except BaseException:
        connection.close()
        raise
    return connection


def _read(connection: sqlite3.Connection, read: Callable[[sqlite3.Connection], None] | None) -> sqlite3.Connection:
    try:
        if read is not None:
            read(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _log_is_damaged(path: Path) -> bool:
    """Looked at again before it is believed: another process may have been writing meanwhile."""
    for _ in range(_LOOKS):
        if not is_damaged(path):
            return False
        time.sleep(_BETWEEN_LOOKS_S)
    return True


def _damage(what: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(what)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error
