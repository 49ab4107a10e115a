"""An SQLite file of the device: durable commits, a schema version, replaced when damaged, patient with a full disk."""

from __future__ import annotations

import logging
import re
import sqlite3
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from edge_sdk.durable.ballast import Ballast, is_full
from edge_sdk.durable.files import damaged_copy, set_aside, sync
from edge_sdk.durable.forks import Owner, keep
from edge_sdk.errors import StorageError

_log = logging.getLogger(__name__)

_CREATED = re.compile(r"\s*CREATE (?:TABLE|INDEX) (?:IF NOT EXISTS )?(\w+)")
_LOG_HEAD = struct.Struct(">8I")  # magic, version, page size, checkpoint, two salts, two checksums
_LOG_FRAME = struct.Struct(">6I")  # page, pages after a commit or else 0, two salts, two checksums
_PAGE_BYTES = 1024  # a commit writes whole pages, a few rows each time: small ones spare the SD card

MEMORY = Path(":memory:")
"""In place of a file: nothing outlives the process."""

Fill = Callable[[sqlite3.Connection, Path | None], None]
"""Fills a fresh file, within the transaction that creates it; the path is that of a damaged one set aside, or None."""


def is_damage(error: Exception) -> bool:
    """Whether `error` says that the file itself is damaged (not that it is locked, or the disk full)."""
    if isinstance(error, sqlite3.OperationalError) and re.match(r"no such|table \w+ has no column", str(error)):
        return True
    if isinstance(error, UnicodeDecodeError):  # of SQLite's own message on a name that is no text any more
        return True
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def readable(content: bytes) -> str:
    """Text as SQLite keeps it; damaged bytes are replaced, so that the rest of the row can be read."""
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


class Database:
    """An SQLite file in WAL mode whose commits are on the disk when they return. Not for two threads at once.

    A damaged file, found at opening or later, is set aside as `NAME.damaged` and replaced by a fresh one. Where it
    cannot be opened on a full disk, even with the ballast given up, there is no file for now: `fault` says so, and each
    `transaction` tries again.

    Args:
        path: the file; its folder is created. `MEMORY`: none, and all of the following holds in memory.
        schema: the statements that create the tables; run on a file of an older version too.
        added: columns by table that a file of an older version may lack, each with its type; null in its rows.
        version: number of the schema, kept in `user_version`.
        synchronous: "FULL", or "NORMAL": commits survive a kill, and a power cut may take back the latest.
        exclusive: hold the file for this connection alone; otherwise other processes may read it.
        fill: called with a fresh file.
        read: called with each file that is opened; where it meets damage, or values that it can make nothing of
            (ValueError, TypeError, OverflowError), the file counts as damaged.
        ballast: room for opening it on a full disk.

    Raises:
        StorageError: the file cannot be opened, is held by another process, or has a newer schema.
    """

    def __init__(
        self,
        path: Path,
        *,
        schema: tuple[str, ...],
        version: int,
        added: Mapping[str, Sequence[str]] | None = None,
        synchronous: str = "FULL",
        exclusive: bool = False,
        fill: Fill | None = None,
        read: Callable[[sqlite3.Connection], None] | None = None,
        ballast: Ballast | None = None,
    ) -> None:
        self.path = path
        self.fault: str | None = None
        self._added = added or {}
        self._schema, self._version, self._synchronous, self._exclusive = schema, version, synchronous, exclusive
        self._fill, self._read, self._ballast = fill, read, ballast
        self._connection: sqlite3.Connection | None = None
        self._owner = Owner(str(path))
        keep(self)
        self._open()

    @property
    def is_open(self) -> bool:
        """Whether there is a file at present."""
        return self._connection is not None

    @property
    def connection(self) -> sqlite3.Connection:
        """For reading.

        Raises:
            StorageError: there is no file, since the disk is full.
        """
        if not self.reopen() or self._connection is None:
            raise StorageError(self.fault or f"{self.path} is closed")
        return self._connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All statements within are committed together, or none is.

        Raises:
            sqlite3.Error: it failed. Where the file proved damaged, a fresh one stands in its place: try once more.
            StorageError: there is no file, since the disk is full.
        """
        connection = self.connection
        try:
            with transaction(connection):
                yield connection
            self.fault = None
        except sqlite3.Error as error:
            if self.fault is None:
                _log.error("cannot write %s: %s", self.path, error)
            self.fault = f"cannot write {self.path}: {error}"
            if is_damage(error):
                self.replace(error)
            raise

    def reopen(self) -> bool:
        """Open the file unless it is open; False where the disk is still full.

        Raises:
            StorageError: it cannot be opened for another reason.
            StateError: this process is a forked child.
        """
        self._owner.check()
        if self._connection is None:
            self._open()
        return self._connection is not None

    def replace(self, error: Exception) -> None:
        """Set the file aside, which proved damaged, and begin a fresh one."""
        self.close()
        set_aside(self.path, error)
        self._open()

    def close(self) -> None:
        """Release the file. A second call does nothing, nor does one in a forked child."""
        if self._connection is not None and self._owner.is_here:
            self._connection.close()
            self._connection = None

    def _open(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = self._make_room_and_open()
            self.fault = None
        except StorageError:
            raise
        except (OSError, sqlite3.Error) as error:
            if is_full(error, self.path.parent):
                if self.fault is None:
                    _log.error("%s cannot be opened for now: %s", self.path, error)
                self.fault = f"cannot open {self.path}: {error}"
                return
            busy = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
            said = (
                f"expected {self.path} to be free; another process holds it"
                if busy
                else f"cannot open {self.path}: {error}"
            )
            raise StorageError(said) from error

    def _make_room_and_open(self) -> sqlite3.Connection:
        """Open the file; on a full disk once more, with the room of the ballast."""
        try:
            return self._open_or_replace()
        except (OSError, sqlite3.Error) as error:
            if self._ballast is None or not is_full(error, self.path.parent):
                raise
        self._ballast.give_up()
        return self._open_or_replace()

    def _open_or_replace(self) -> sqlite3.Connection:
        try:
            return self._open_once()
        except (sqlite3.DatabaseError, ValueError, TypeError, OverflowError) as error:
            if isinstance(error, sqlite3.Error) and not is_damage(error):
                raise
            set_aside(self.path, error)
            return self._open_once()

    def _open_once(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=0.5 if self._exclusive else 10.0, isolation_level=None, check_same_thread=False
        )
        connection.text_factory = readable
        try:
            if self._exclusive:
                connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute(f"PRAGMA page_size={_PAGE_BYTES}")  # of a fresh file; an older one keeps its own
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(f"PRAGMA synchronous={self._synchronous}")
            if self._synchronous == "FULL" and log_is_cut(connection, self.path):
                raise _damage("commits in the write-ahead log follow a broken one")
            with transaction(connection):
                (found,) = connection.execute("PRAGMA user_version").fetchone()
                if found > self._version:
                    raise StorageError(
                        f"expected schema {self._version} or older in {self.path}; got {found}, of a newer edge_sdk"
                    )
                if found < self._version:
                    tables = [one for one in self._schema if "CREATE TABLE" in one]
                    for statement in tables:
                        connection.execute(statement)
                    for table, columns in self._added.items():
                        _add_columns(connection, table, columns)
                    for statement in self._schema:  # indexes may name columns that were added
                        if statement not in tables:
                            connection.execute(statement)
                    if self._fill is not None and found == 0:
                        aside = damaged_copy(self.path)
                        self._fill(connection, aside if aside.exists() else None)
                    connection.execute(f"PRAGMA user_version={self._version}")
            if self._exclusive and connection.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
                raise _damage("integrity_check failed")
            names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            if missing := {match[1] for match in map(_CREATED.match, self._schema) if match} - names:
                raise _damage(f"no {', '.join(sorted(missing))}")
            if found == 0 and self.path != MEMORY:
                sync(self.path.parent)
            with suppress(sqlite3.OperationalError):  # a full disk
                # What the log holds goes into the file: a log damaged later costs the commits of this run alone.
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            if self._read is not None:
                self._read(connection)
        except BaseException:
            connection.close()
            raise
        return connection


def _add_columns(connection: sqlite3.Connection, table: str, columns: Sequence[str]) -> None:
    known = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
    for column in columns:
        if column.split()[0] not in known:
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column}")


def log_is_cut(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether SQLite, just opened, gives up commits of the write-ahead log that were whole once.

    It ends a log without a word at the first frame whose checksum is wrong. Where every commit was synced, a power cut
    breaks the last one alone; where another one follows, the disk has changed what it held.
    The format: https://www.sqlite.org/fileformat2.html#the_write_ahead_log
    """
    log = path.with_name(f"{path.name}-wal")
    content = log.read_bytes() if log.exists() else b""
    if len(content) < _LOG_HEAD.size + _LOG_FRAME.size:
        return False
    (known,) = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1:2]
    magic, _, page_bytes, _, *salts, first, second = _LOG_HEAD.unpack_from(content)
    order = ">2I" if magic & 1 else "<2I"
    sums = [0, 0]
    for one, other in struct.iter_unpack(order, content[:24]):
        sums[0] = sums[0] + one + sums[1] & 0xFFFFFFFF
        sums[1] = sums[1] + other + sums[0] & 0xFFFFFFFF
    if sums != [first, second]:
        return True
    step = _LOG_FRAME.size + page_bytes
    frames = range(_LOG_HEAD.size + max(0, known) * step, len(content) - step + 1, step)
    headers = (_LOG_FRAME.unpack_from(content, at) for at in frames)
    return bool(sum(found == salts and size > 0 for _, size, *found, _, _ in headers) > 1)


def _damage(what: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(what)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error
