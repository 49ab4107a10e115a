"""The journal: every answer, one row for each frame, queryable, kept across restarts.

`write` costs microseconds; a background thread commits what was written in groups. A row keeps the device's answer and
the cloud's side by side; the cloud's, once there, is the last word, and a second one changes nothing.
"""

from __future__ import annotations

import functools
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from edge_sdk.durable.ballast import Ballast
from edge_sdk.durable.copies import set_aside
from edge_sdk.durable.database import is_damage, open_database, readable, storable, transaction
from edge_sdk.durable.salvage import salvage
from edge_sdk.errors import ConfigError, StorageError
from edge_sdk.store.journal_limits import JournalLimits
from edge_sdk.store.journal_rows import (
    COLUMNS,
    DAMAGED_ROW,
    OPEN,
    SCHEMA,
    UPSERTS,
    JournalEntry,
    checksum,
    damaged_row,
    entry_of,
    microseconds,
    missed_frames,
)
from edge_sdk.types import Answer, Origin

__all__ = ["DAMAGED_ROW", "Journal", "JournalEntry"]

_log = logging.getLogger(__name__)

_MAX_BACKLOG = 10_000
_IDS_AT_ONCE = 500


class Journal:
    """All answers of a device. Threads may share it, and other processes may read the file meanwhile.

    A full disk never stops the caller: answers wait in memory, the latest 10,000 of them, and are written when there is
    room; `fault` says so meanwhile. A damaged file is set aside as `NAME.damaged-TIME` and a fresh one begun with all
    that can be read of it; a frame whose row cannot be read stays known as damaged (`JournalEntry.damaged`).

    Args:
        path: the SQLite file, created if missing.
        flush_interval_s: longest time until an answer is on the disk by itself, seconds.
        max_rows: most frames that are kept.
        max_bytes: most bytes of the file's used pages; None: no limit. The write-ahead log (some 4 MB) comes on top.
        max_age_s: frames captured longer ago by the wall clock go; None: none do.
        clock: wall time in seconds since 1970.
        reserve: room for opening it on a full disk.

    Where a limit is reached, the frames that were written first go first. Frames that may still be answered by the
    cloud are kept, whatever the limits; the spool bounds their number.

    Raises:
        StorageError: the file cannot be opened.
        ConfigError: a number is not above 0.
    """

    def __init__(
        self,
        path: Path,
        *,
        flush_interval_s: float = 1.0,
        max_rows: int = 1_000_000,
        max_bytes: int | None = None,
        max_age_s: float | None = None,
        clock: Callable[[], float] = time.time,
        reserve: Ballast | None = None,
    ) -> None:
        limits = {
            "flush_interval_s": flush_interval_s,
            "max_rows": max_rows,
            "max_bytes": max_bytes,
            "max_age_s": max_age_s,
        }
        for name, value in limits.items():
            if value is not None and not value > 0:
                raise ConfigError(f"expected {name} above 0; got {value:g}")
        self._path = path
        self._flush_interval_s = flush_interval_s
        self._limits = JournalLimits(max_rows, max_bytes, max_age_s, clock)
        self._limits_in = functools.partial(JournalLimits, max_rows, max_age_s=None, clock=clock)
        self._reserve = reserve
        self._backlog: deque[tuple[Origin, tuple[Any, ...]]] = deque()
        self._backlog_lock = threading.Lock()
        self._commit_lock = threading.Lock()
        self._fault: str | None = None
        self._lost = 0
        self._connection: sqlite3.Connection | None = self._open(waits=False)
        self._written = threading.Event()
        self._closing = threading.Event()
        self._writer = threading.Thread(target=self._write_in_groups, name="journal", daemon=True)
        self._writer.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def fault(self) -> str | None:
        """Why answers are kept in memory at present (a full disk), or None."""
        return self._fault

    def write(self, answer: Answer, *, truth: str | None = None, note: str = "") -> None:
        """Record an answer; it is on the disk within `flush_interval_s`, or when `flush` returns True.

        The device's final answer replaces its provisional one; the cloud's first answer stands. Late or repeated
        answers change nothing.
        """
        offset = answer.captured_at.utcoffset()
        if offset is None:
            raise ConfigError(f"expected captured_at with a time zone; got the naive {answer.captured_at.isoformat()}")
        said = (answer.label, float(answer.confidence), int(answer.final), answer.reason.value)
        row = (
            answer.frame_id,
            microseconds(answer.captured_at),
            offset.days * 86_400 + offset.seconds,
            storable(answer.source),
            None if truth is None else storable(truth),
            note,
            *said,
            checksum(answer.frame_id, said),
        )
        with self._backlog_lock:
            self._backlog.append((answer.origin, row))
            if len(self._backlog) > _MAX_BACKLOG:
                self._backlog.popleft()
                self._lost += 1
        self._written.set()

    def flush(self) -> bool:
        """Put on the disk all that was written before. False if that failed (`fault`); it is tried again later."""
        with self._commit_lock:
            return self._commit() or (self._connection is None and self._commit())  # a damaged file was set aside

    def get(self, frame_id: str) -> Answer | None:
        """The last word on a frame, or None if the frame is not known."""
        with closing(self._select("WHERE frame_id = ?", [frame_id])) as entries:
            return next((entry.answer for entry in entries), None)

    def unsettled(self) -> list[Answer]:
        """The provisional answers of the frames that wait for another word, the first written first.

        One whose row is damaged comes with a final answer, of the reason `DAMAGED`.
        """
        with closing(self._select(f"WHERE {OPEN} ORDER BY number", [])) as entries:
            return [entry.answer for entry in entries]

    def finality(self, frame_ids: Collection[str]) -> dict[str, bool]:
        """Whether the last word on each frame is final; frames whose last word is not known are left out."""
        ids = list(frame_ids)
        found: dict[str, bool] = {}
        for start in range(0, len(ids), _IDS_AT_ONCE):
            some = ids[start : start + _IDS_AT_ONCE]
            marks = ", ".join("?" * len(some))
            entries = map(entry_of, self._read(f"SELECT {COLUMNS} FROM frame WHERE frame_id IN ({marks})", some))
            known = [entry.answer for entry in entries if entry.cloud or not entry.damaged]
            found.update((answer.frame_id, answer.final) for answer in known)
        return found

    def query(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        label: str | None = None,
        origin: Origin | None = None,
        final: bool | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> Iterator[JournalEntry]:
        """The frames that match, by capture time, oldest first.

        Args:
            since: captured at this time or later, with a time zone.
            until: captured before this time, with a time zone.
            label: the last word is this label.
            origin: the last word is from here.
            final: whether the last word is final.
            limit: at most so many.
            newest_first: turn the order round.

        Raises:
            StorageError: the file cannot be read.
        """
        conditions: list[str] = []
        values: list[object] = []
        for condition, value in (
            ("captured_us >= ?", None if since is None else microseconds(since)),
            ("captured_us < ?", None if until is None else microseconds(until)),
            ("label = ?", label),
            ("origin = ?", None if origin is None else origin.value),
            ("final = ?", None if final is None else int(final)),
        ):
            if value is not None:
                conditions.append(condition)
                values.append(value)
        order = "DESC" if newest_first else "ASC"
        where = f"WHERE {' AND '.join(conditions)} " if conditions else ""
        tail = f"{where}ORDER BY captured_us {order}, number {order} LIMIT ?"
        return self._select(tail, [*values, -1 if limit is None else limit])

    def device_confidences(self, limit: int) -> list[float]:
        """The little model's confidences of the latest `limit` frames that it saw, in no order."""
        sql = (
            "SELECT device_confidence FROM frame WHERE device_label IS NOT NULL "
            "ORDER BY captured_us DESC, number DESC LIMIT ?"
        )
        return [row[0] for row in self._read(sql, [limit])]

    def counts(self) -> dict[str | None, int]:
        """How many frames have which label as their last word (None: no model was run), the most frequent first."""
        return dict(self._read("SELECT label, count(*) FROM frame GROUP BY label ORDER BY 2 DESC, 1", []))

    def damaged(self) -> int:
        """How many frames have an answer that was damaged in the file and cannot be read any more; reads every row."""
        return sum(entry.damaged or entry.note == DAMAGED_ROW for entry in self.query())

    def close(self) -> None:
        """Write what is left and release the file. A second call does nothing."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._written.set()
        self._writer.join()
        with self._commit_lock:
            if not self._commit():
                _log.error("journal: %d answers are lost: %s", len(self._backlog), self._fault)
            if self._connection is not None:
                self._connection.close()

    def _open(self, *, waits: bool) -> sqlite3.Connection:
        def save(damaged: Path, connection: sqlite3.Connection, room: int | None) -> None:
            def name_the_rest(source: sqlite3.Connection) -> None:
                for frame_id, captured_us in missed_frames(source, connection):
                    connection.execute(UPSERTS[Origin.DEVICE], damaged_row(frame_id, captured_us))

            trim = None if room is None else functools.partial(self._limits_in(max_bytes=room).enforce, connection)
            salvage(damaged, connection, table="frame", key="number", more=name_the_rest, trim=trim)

        return open_database(
            self._path,
            schema=SCHEMA,
            version=2,
            exclusive=False,
            save=save,
            checks_log=True,
            reserve=self._reserve,
            waits=waits,
        )

    def _write_in_groups(self) -> None:
        while not self._closing.is_set():
            self._written.wait()
            self._closing.wait(self._flush_interval_s)
            self._written.clear()
            if not self.flush():
                self._written.set()

    def _commit(self) -> bool:
        """Write the backlog in one transaction; the caller holds the commit lock."""
        with self._backlog_lock:
            batch = list(self._backlog)
            lost = self._lost
        if not batch and self._connection is not None:
            return True
        try:
            if self._connection is None:
                self._connection = self._open(waits=True)
            with transaction(self._connection):
                for origin, row in batch:
                    self._connection.execute(UPSERTS[origin], row)
                self._limits.enforce(self._connection)
        except (sqlite3.Error, StorageError) as error:
            self._fail(error)
            return False
        with self._backlog_lock:
            for _ in range(len(batch) - (self._lost - lost)):
                self._backlog.popleft()
        if self._fault is not None:
            _log.warning("journal: %s can be written again; %d answers were lost so far", self._path, lost)
        self._fault = None
        if self._reserve is not None:
            self._reserve.keep()
        return True

    def _fail(self, error: Exception) -> None:
        if self._fault is None:
            _log.error("journal: cannot write %s: %s", self._path, error)
        self._fault = f"cannot write {self._path}: {error}"
        if self._connection is not None and is_damage(error):
            # The next commit opens the file again, which sets it aside if it is damaged from the start.
            self._connection.close()
            self._connection = None
            _log.error("journal: set aside as %s", set_aside(self._path).name)

    def _select(self, tail: str, values: list[object]) -> Generator[JournalEntry, None, None]:
        self.flush()
        with closing(self._reader()) as reader:
            try:
                for row in reader.execute(f"SELECT {COLUMNS} FROM frame {tail}", values):
                    entry = entry_of(row)
                    if entry.damaged:
                        _log.error("journal: what was said on frame %s is damaged", entry.answer.frame_id)
                    yield entry
            except (sqlite3.Error, UnicodeDecodeError) as error:
                self._quarantine(error)
                raise StorageError(f"cannot read {self._path}: {error}") from error

    def _read(self, sql: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        """All rows at once; a damaged file is set aside, and what was saved of it is read."""
        for last in (False, True):
            self.flush()
            with closing(self._reader()) as reader:
                try:
                    return reader.execute(sql, values).fetchall()
                except (sqlite3.Error, UnicodeDecodeError) as error:
                    if last or not self._quarantine(error):
                        raise StorageError(f"cannot read {self._path}: {error}") from error
        raise AssertionError("unreachable")

    def _quarantine(self, error: Exception) -> bool:
        """Set the file aside if `error`, met when reading, says that it is damaged, and begin a fresh one."""
        if not is_damage(error):
            return False
        with self._commit_lock:
            self._fail(error)
            try:
                self._connection = self._connection or self._open(waits=True)
            except StorageError as failure:
                self._fail(failure)
        return self._connection is not None

    def _reader(self) -> sqlite3.Connection:
        """A connection of its own, so that a long query does not hold up the writer."""
        try:
            reader = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)
            reader.text_factory = readable
            return reader
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise StorageError(f"cannot read {self._path}: {error}") from error
