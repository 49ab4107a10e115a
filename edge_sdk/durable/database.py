"""Opening the SQLite files of the device: durable commits, a schema version, a damaged file set aside, a full disk."""

from __future__ import annotations

import functools
import logging
import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_sdk.durable import copies
from edge_sdk.durable.ballast import Ballast, free_bytes, is_full, no_room
from edge_sdk.durable.wal import is_damaged
from edge_sdk.errors import StorageError

_log = logging.getLogger(__name__)

_CREATED = re.compile(r"\s*CREATE (?:TABLE|INDEX) (?:IF NOT EXISTS )?(\w+)")

_PAGE_BYTES = 1024  # a commit writes whole pages, a few rows each time: small ones spare the SD card
_MARGIN_BYTES = 1 << 20
_LEAST_ROOM_BYTES = 1 << 17
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


Save = Callable[[Path, sqlite3.Connection, int | None], None]
"""Copies what can be read of a damaged file into a fresh one, of at most so many bytes where a number is given."""


def open_database(
    path: Path,
    *,
    schema: tuple[str, ...],
    version: int,
    exclusive: bool,
    fill: Callable[[sqlite3.Connection], None] | None = None,
    save: Save | None = None,
    read: Callable[[sqlite3.Connection], None] | None = None,
    checks_log: bool = False,
    reserve: Ballast | None = None,
    waits: bool = False,
) -> sqlite3.Connection:
    """Open or create a database in WAL mode whose commits are on the disk when they return.

    A damaged file is renamed to `NAME.damaged-UNIXTIME` beside it, logged, and replaced by a fresh one; once that is
    open, the copies that are older are removed. On a full disk room is made, in this order: the older copies go, the
    reserve is given up, and of a damaged file only what fits is saved, before the copy itself goes.

    Args:
        path: the file; its folder is created.
        schema: the statements that create the tables; run on a file of an older version too.
        version: number of the schema, kept in `user_version`.
        exclusive: hold the file for this connection alone; otherwise other processes may read and write it.
        fill: called after `schema`, within the same transaction.
        save: called after that, where the file is fresh, with the newest damaged copy, if there is one.
        read: called with the opened database; where it meets damage, or values that it can make nothing of (ValueError,
            TypeError, OverflowError), the file counts as damaged.
        checks_log: a write-ahead log that was damaged after it had been whole counts as damage, where SQLite would drop
            its end without a word. Of a file whose commits are not all synced a power cut may leave such a log too.
        reserve: room for opening it on a full disk.
        waits: the caller goes on without the file while the disk is full: nothing but older copies is given up for it.

    Raises:
        StorageError: the file cannot be opened, is held by another process, or has a newer schema.
    """

    def attempt(last: bool) -> sqlite3.Connection:
        begin = functools.partial(_open, path, schema, version, exclusive, fill, save, last and not waits)
        try:
            if checks_log and _log_is_damaged(path):
                raise _damage("the write-ahead log is damaged")
            return _read(begin(), read)
        except (sqlite3.DatabaseError, ValueError, TypeError, OverflowError) as error:
            if isinstance(error, sqlite3.Error) and not is_damage(error):
                raise
            aside = copies.set_aside(path)
            _log.error("%s is damaged (%s): set aside as %s, a fresh one is begun", path, error, aside.name)
            return _read(begin(), read)

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = _make_room_for(attempt, path, None if waits else reserve)
        copies.remove_older(path)
        return connection
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
            raise StorageError(f"expected {path} to be free; another process holds it") from error
        raise StorageError(f"cannot open {path}: {error}") from error
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"cannot open {path}: {error}") from error


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


def _make_room_for(
    attempt: Callable[[bool], sqlite3.Connection], path: Path, reserve: Ballast | None
) -> sqlite3.Connection:
    """What `attempt` gives; on a full disk it is made again after each thing that is given up, at last with True."""
    remedies: list[Callable[[], None]] = [functools.partial(copies.remove_older, path)]
    if reserve is not None:
        remedies.append(reserve.give_up)
    for remedy in remedies:
        try:
            return attempt(False)
        except (OSError, sqlite3.Error) as error:
            if not is_full(error, path.parent):
                raise
            _log.error("%s cannot be opened: %s", path, error)
        remedy()
    return attempt(True)


def _open(
    path: Path,
    schema: tuple[str, ...],
    version: int,
    exclusive: bool,
    fill: Callable[[sqlite3.Connection], None] | None,
    save: Save | None,
    may_drop: bool,
) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=0.5 if exclusive else 10.0, isolation_level=None, check_same_thread=False
    )
    connection.text_factory = readable
    try:
        if exclusive:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute(f"PRAGMA page_size={_PAGE_BYTES}")  # of a fresh file; an older one keeps its own
        connection.execute("PRAGMA synchronous=FULL")
        damaged = None
        if save is not None and connection.execute("PRAGMA user_version").fetchone() == (0,):
            damaged = next(iter(copies.copies(path)), None)
        if damaged is None:
            connection.execute("PRAGMA journal_mode=WAL")  # else later: a log would need as much room as the file
        room = None if damaged is None else _room_for(damaged, may_drop)
        with transaction(connection):
            (found,) = connection.execute("PRAGMA user_version").fetchone()
            if found > version:
                raise StorageError(f"expected schema {version} or older in {path}; got {found}, of a newer edge_sdk")
            if found < version:
                for statement in schema:
                    connection.execute(statement)
                if fill is not None:
                    fill(connection)
                if save is not None and damaged is not None and found == 0:
                    save(damaged, connection, room)
                connection.execute(f"PRAGMA user_version={version}")
        connection.execute("PRAGMA journal_mode=WAL")
        if exclusive and connection.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
            raise _damage("integrity_check failed")
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        created = {match[1] for match in map(_CREATED.match, schema) if match}
        if missing := created - names:
            raise _damage(f"no {', '.join(sorted(missing))}")
        if found == 0:
            sync_folder(path.parent)
        if damaged is not None and room is not None:
            _log.error("the disk of %s is full: what fits was saved", path)
            copies.remove(damaged)
    except BaseException:
        connection.close()
        raise
    return connection


def _room_for(damaged: Path, may_drop: bool) -> int | None:
    """None where all of a damaged file fits on the disk once more; else how many bytes may be saved of it.

    Raises:
        OSError: the disk is full.
    """
    free = free_bytes(damaged.parent)
    if free >= copies.size_of(damaged) * 5 // 4 + _MARGIN_BYTES:
        return None
    if not may_drop or free < _LEAST_ROOM_BYTES:
        raise no_room(f"{damaged.name} cannot be saved in {free} bytes")
    return free * 3 // 4


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
