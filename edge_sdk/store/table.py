"""The table of frames: what is said of frames is queued in memory and committed in groups by a thread.

`change` and `insert` cost microseconds and never fail. A commit that fails (a full disk) is made again later, with
what came meanwhile; a damaged file is replaced by a fresh one with all that can be read of it and of the frames' own
files. Nothing but this thread, and who calls `flush`, waits for the disk.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, starmap
from pathlib import Path
from typing import Any, TypeVar

from edge_sdk.durable.ballast import Ballast, is_full
from edge_sdk.durable.clock import ClockMark, ElapsedClock
from edge_sdk.durable.database import Database, is_damage
from edge_sdk.durable.files import remove
from edge_sdk.durable.forks import OwnLock
from edge_sdk.errors import StorageError
from edge_sdk.store.limits import RowLimits
from edge_sdk.store.recovery import rebuild
from edge_sdk.store.schema import ADDED, COUNTS_ADDED, EVENTS_ADDED, INSERT, SCHEMA, VERSION, Change, first_row

__all__ = ["Change", "FrameTable"]

_log = logging.getLogger(__name__)

T = TypeVar("T")

FILE = "state.db"
_MAX_QUEUED = 10_000
_MOST_REPEATS = 256
_MARK_EVERY_NS = 60_000_000_000


class FrameTable:
    """The table in `state.db`. Threads may share it, and other processes may read the file meanwhile.

    Args:
        folder: the state folder.
        limits: what bounds the rows.
        new_clock: makes the clock that goes on from a stored mark, or else from a reading in nanoseconds.
        ballast: room for opening the file on a full disk.
        flush_interval_s: longest time until a change is on the disk by itself, seconds.
        repeats_s: that of an insert that only repeats the one before, where nothing else comes.

    Raises:
        StorageError: the file cannot be opened.
    """

    def __init__(
        self,
        folder: Path,
        limits: RowLimits,
        new_clock: Callable[[ClockMark | None, int], ElapsedClock],
        *,
        ballast: Ballast | None = None,
        flush_interval_s: float = 1.0,
        repeats_s: float = 900.0,
    ) -> None:
        self.folder = folder
        self._limits, self._ballast = limits, ballast
        self._before: Callable[[], None] = lambda: None
        self._after: Callable[[], None] = lambda: None
        self._interval_s, self._repeats_s = flush_interval_s, repeats_s
        self._inserts: deque[tuple[Any, ...]] = deque(maxlen=_MAX_QUEUED)
        self._changes: list[Change] = []
        self._dropped = 0
        self._queue_lock = OwnLock(threading.Lock(), "the store")
        self._commit_lock = OwnLock(threading.RLock(), "the store")
        self._new_clock, self._marked_ns = new_clock, 0
        self.clock: ElapsedClock | None = None
        self._database = Database(
            folder / FILE,
            schema=SCHEMA,
            version=VERSION,
            added={"frames": ADDED, "events": EVENTS_ADDED, "audit_counts": COUNTS_ADDED},
            fill=lambda connection, damaged: rebuild(connection, damaged, folder),
            read=self._read_clock,
            ballast=ballast,
        )
        if self.clock is None:
            self.clock = new_clock(None, 0)
        self._written, self._closing = threading.Event(), threading.Event()
        self._writer = threading.Thread(target=self._write_in_groups, name="store", daemon=True)

    @property
    def fault(self) -> str | None:
        """Why changes are kept in memory at present (a full disk), or None."""
        return self._database.fault

    def now_ns(self) -> int:
        """The store's clock: nanoseconds that have passed, over restarts too."""
        assert self.clock is not None
        return self.clock.now_ns()

    def start(self, before: Callable[[], None] = lambda: None, after: Callable[[], None] = lambda: None) -> None:
        """Start the thread; `before` and `after` are called around each commit, by who commits, holding no lock."""
        self._before, self._after = before, after
        self._writer.start()

    def insert(self, *first: Any, changes: Sequence[Change] = (), repeats: bool = False) -> None:
        """A frame with a final answer, by the arguments of `first_row`, and `changes` that are committed with it.

        One that `repeats` what the last one said waits for others, `repeats_s` at the longest. On a full disk the
        latest 10,000 frames wait.
        """
        with self._queue_lock:
            self._dropped += len(self._inserts) == _MAX_QUEUED
            self._inserts.append(first)
            self._changes.extend(changes)
            is_due = not (repeats and self._repeats_s) or len(self._inserts) >= _MOST_REPEATS
        if is_due and not self._written.is_set():
            self._written.set()

    def change(self, *changes: Change) -> None:
        """Statements that are committed together, in this order."""
        with self._queue_lock:
            self._changes.extend(changes)
        if not self._written.is_set():
            self._written.set()

    def flush(self) -> bool:
        """Put on the disk all that was queued before. False if that failed (`fault`); it is tried again later."""
        self._before()
        done: list[tuple[Callable[[bool], None], bool]] = []
        with self._commit_lock:  # the second try: a damaged file was replaced, or the ballast given up
            written = self._commit(done) or self._commit(done)
        for then, changed in done:
            then(changed)
        self._after()
        return written

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Statements that are committed together at once, ahead of what is queued.

        Raises:
            sqlite3.Error, StorageError: it failed.
        """
        with self._commit_lock, self._database.transaction() as connection:
            yield connection

    def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """As `transaction`; where `work` meets damage it is run once more, on the table that was rebuilt."""
        try:
            with self.transaction() as connection:
                return work(connection)
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
        with self.transaction() as connection:
            return work(connection)

    def read(self, sql: str, values: Sequence[object] = (), *, queued: bool = True) -> list[tuple[Any, ...]]:
        """All rows of a query, `queued` changes included; for few rows.

        Raises:
            StorageError: the file cannot be read.
        """
        if queued:
            self.flush()
        try:
            return self.run(lambda connection: connection.execute(sql, values).fetchall())
        except sqlite3.Error as error:
            raise StorageError(f"cannot read {self._database.path}: {error}") from error

    def found_damaged(self, error: Exception) -> None:
        """A reader has met damage: replace the file."""
        if is_damage(error):
            with self._commit_lock:
                self._database.replace(error)

    def close(self) -> None:
        """Write what is left and release the file. A second call does nothing."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._written.set()
        if self._writer.is_alive():
            self._writer.join()
        self._marked_ns = 0
        if not self.flush():
            _log.error("store: %d changes are lost: %s", len(self._inserts) + len(self._changes), self.fault)
        self._database.close()

    def _write_in_groups(self) -> None:
        while not self._closing.is_set():
            if self._written.wait(self._repeats_s or None):
                self._closing.wait(self._interval_s)
            self._written.clear()
            try:
                if not self.flush():
                    self._written.set()
            except Exception:
                _log.exception("store: a group could not be written")

    def _commit(self, done: list[tuple[Callable[[bool], None], bool]]) -> bool:
        """Write what is queued in one transaction; the caller holds the commit lock."""
        with self._queue_lock:
            inserts, changes = self._inserts, self._changes
            self._inserts, self._changes = deque(maxlen=_MAX_QUEUED), []
            dropped, self._dropped = self._dropped, 0
        if not (inserts or changes) and self._database.is_open and self._marked_ns:
            return True
        try:
            with self._database.transaction() as connection:
                connection.executemany(INSERT, starmap(first_row, inserts))
                told = [connection.execute(change.sql, change.values).rowcount > 0 for change in changes]
                gone = self._limits.enforce(connection, self.now_ns())
                self._mark(connection)
        except (sqlite3.Error, StorageError) as error:
            if self._ballast is not None and is_full(error, self.folder):
                self._ballast.give_up()
            with self._queue_lock:
                self._dropped += dropped + max(0, len(inserts) + len(self._inserts) - _MAX_QUEUED)
                self._inserts = deque(chain(inserts, self._inserts), maxlen=_MAX_QUEUED)
                self._changes = changes + self._changes
            return False
        done.extend((change.then, changed) for change, changed in zip(changes, told, strict=True) if change.then)
        for name in gone:
            remove(self.folder / name)
        if dropped:
            _log.warning("store: %s can be written again; %d answers were lost", self._database.path, dropped)
        if self._ballast is not None:
            self._ballast.keep()
        return True

    def _read_clock(self, connection: sqlite3.Connection) -> None:
        if self.clock is None:
            row = connection.execute("SELECT elapsed_ns, wall_s, steady_s, boot_id FROM clock").fetchone()
            (newest_ns,) = connection.execute("SELECT max(handled_ns) FROM frames").fetchone()
            self.clock = self._new_clock(ClockMark(*row) if row else None, newest_ns or 0)

    def _mark(self, connection: sqlite3.Connection) -> None:
        """Where the clock stands, once a minute and at both ends of a run."""
        assert self.clock is not None
        mark = self.clock.mark()
        if not self._marked_ns or mark.elapsed_ns - self._marked_ns >= _MARK_EVERY_NS:
            self._marked_ns = mark.elapsed_ns + 1
            connection.execute("DELETE FROM clock")
            connection.execute(
                "INSERT INTO clock VALUES (?, ?, ?, ?)", (mark.elapsed_ns, mark.wall_s, mark.steady_s, mark.boot_id)
            )
