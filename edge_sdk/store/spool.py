"""The spool: the durable, bounded queue of frames that wait for the cloud.

Each frame is one file that carries all there is to know of it (metadata, encoded image, checksum); an SQLite index
beside the files orders them. A frame is on the disk, and in the index, when `put` returns: the file is written, synced
and renamed, its folder synced, then its row is committed and synced. The order of the steps makes every crash harmless:
a file without a row is taken into the index at the next start, since it was never acknowledged; a row without a file is
a loss, or was acknowledged. A damaged index is rebuilt from the files, and from what can be read of its losses.

A frame that leaves without an answer (evicted, too old, damaged) is remembered as a `Loss` until `ack`, so that no
crash makes anyone forget to say what became of it.
"""

from __future__ import annotations

import logging
import math
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from edge_sdk.durable.ballast import Ballast, no_room
from edge_sdk.durable.clock import ClockMark, ElapsedClock, current_boot_id, steady_s
from edge_sdk.durable.copies import set_aside
from edge_sdk.durable.database import is_damage, open_database, transaction
from edge_sdk.durable.salvage import rows_of
from edge_sdk.errors import ConfigError, StorageError
from edge_sdk.store.frame_file import SpoolItem, decode_item, encode_item, put_aside, remove, write_durably
from edge_sdk.types import Reason

__all__ = ["Loss", "Spool", "SpoolItem"]

_log = logging.getLogger(__name__)

_SUFFIX = ".frame"
_FRAME_ID = re.compile(r"[0-9A-Za-z_-]{1,64}", re.ASCII)
_EXPIRY_CHECK_NS = 60_000_000_000
_LOSSES = frozenset({Reason.EVICTED, Reason.EXPIRED, Reason.DAMAGED})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LEAST_GAIN = 1e-6
_DOUBLING_S = 86_400.0
_SCHEMA = (
    "DROP TABLE IF EXISTS frame",
    # The last four columns are the clock's mark when the frame was put; the newest row's is where the clock goes on.
    "CREATE TABLE frame (frame_id TEXT PRIMARY KEY, rank REAL NOT NULL, captured_us INTEGER NOT NULL, "
    "bytes INTEGER NOT NULL, put_ns INTEGER NOT NULL, wall_s REAL NOT NULL, steady_s REAL NOT NULL, "
    "boot_id TEXT NOT NULL) WITHOUT ROWID",
    "CREATE INDEX frame_order ON frame (rank DESC, captured_us, frame_id)",
    "CREATE TABLE IF NOT EXISTS lost (frame_id TEXT PRIMARY KEY, captured_us INTEGER NOT NULL, reason TEXT NOT NULL) "
    "WITHOUT ROWID",
)
_IN_ORDER = "SELECT frame_id FROM frame ORDER BY rank DESC, captured_us, frame_id"
_LAST_FIRST = "SELECT frame_id, rank, captured_us, bytes FROM frame ORDER BY rank, captured_us DESC, frame_id DESC"
_INSERT = "INSERT OR REPLACE INTO frame VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_LOSE = "INSERT OR REPLACE INTO lost SELECT frame_id, captured_us, ? FROM frame WHERE frame_id = ?"
_NEWEST_MARK = "SELECT put_ns, wall_s, steady_s, boot_id FROM frame ORDER BY put_ns DESC LIMIT 1"


@dataclass(frozen=True, slots=True)
class Loss:
    """A frame that left the queue without an answer from the cloud.

    Attributes:
        frame_id: the frame's id.
        captured_at: its capture time, in UTC.
        reason: `EVICTED`, `EXPIRED` or `DAMAGED`.
    """

    frame_id: str
    captured_at: datetime
    reason: Reason


def rank_of(item: SpoolItem) -> float:
    """A frame's place in the queue: the highest leaves first, the lowest is dropped first.

    The order is that of gain per byte, and with each day of waiting a frame counts twice as much, so that none waits
    for ever. On a logarithmic scale waiting adds the same to all, so the rank does not change with time.
    """
    return math.log2(max(item.gain, _LEAST_GAIN) / max(1, len(item.image))) - item.captured_at.timestamp() / _DOUBLING_S


class Spool:
    """The queue. Threads may share it; two processes may not.

    Args:
        directory: where it lives; created if missing.
        max_bytes: most bytes of frame files that are kept; the least valuable frames are evicted beyond that. The index
            (some 200 bytes for a frame) and at most 16 damaged files come on top.
        max_age_s: a frame that has waited longer leaves; None: none does. Time is `ElapsedClock`'s: a wall clock that
            is changed makes no frame older, and time switched off counts only if the wall clock knows of it.
        clock: wall time in seconds since 1970.
        steady: seconds that never run backwards while the machine is up.
        boot_id: names the time the machine is up; None asks the system.
        reserve: room for opening it on a full disk; where that was given up, no frame is taken until it is there again.

    Raises:
        StorageError: the directory cannot be used, or another process holds it.
        ConfigError: a number is not above 0.
    """

    def __init__(
        self,
        directory: Path,
        *,
        max_bytes: int = 200_000_000,
        max_age_s: float | None = None,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = steady_s,
        boot_id: str | None = None,
        reserve: Ballast | None = None,
    ) -> None:
        if max_bytes <= 0:
            raise ConfigError(f"expected a spool of more than 0 bytes; got {max_bytes}")
        if max_age_s is not None and not max_age_s > 0:
            raise ConfigError(f"expected max_age_s above 0, or None; got {max_age_s:g}")
        self._index = directory / "index.sqlite3"
        self._frames = directory / "frames"
        self._damaged = directory / "damaged"
        self._max_bytes = max_bytes
        self._max_age_ns = None if max_age_s is None else int(max_age_s * 1e9)
        self._wall, self._steady = clock, steady
        self._boot_id = current_boot_id() if boot_id is None else boot_id
        self._clock = self._new_clock(None)
        self._expiry_due_ns = 0
        self._lock = threading.RLock()
        self._listeners: list[Callable[[], None]] = []
        self._loss_listeners: list[Callable[[], None]] = []
        self._lost: dict[str, Loss] = {}
        self._untold = False  # the loss listeners have not heard of all losses
        self._reserve = reserve
        self._closed = False
        self._aside = False  # the damaged index was set aside, and a fresh one could not yet be begun
        self._count = 0
        self._bytes = 0
        try:
            self._frames.mkdir(parents=True, exist_ok=True)
            self._damaged.mkdir(exist_ok=True)
            self._open()
        except (OSError, sqlite3.Error) as error:
            raise StorageError(f"expected a directory that can be written at {directory}; {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return self._count

    @property
    def size_bytes(self) -> int:
        """Bytes of the frame files."""
        return self._bytes

    def ids(self) -> tuple[str, ...]:
        """The ids of all frames, in the order in which `next` gives them."""
        with self._lock:
            return tuple(frame_id for (frame_id,) in self._connection.execute(_IN_ORDER))

    def losses(self) -> tuple[Loss, ...]:
        """The frames that left without an answer and were not acknowledged since; a restart remembers them."""
        with self._lock:
            return tuple(self._lost.values())

    def add_listener(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each frame that is put, in the thread that puts it."""
        self._listeners.append(listener)

    def add_loss_listener(self, listener: Callable[[], None]) -> None:
        """Call `listener` from `next`, in its thread, once frames have proved too old or damaged; `losses` has them."""
        self._loss_listeners.append(listener)

    def put(self, item: SpoolItem) -> tuple[str, ...]:
        """Store `item`; it is durable when this returns. A frame id that is already there changes nothing.

        Returns:
            The ids of the frames that were evicted to make room, lowest rank first; the
            item's own id alone if the frames that are there are all worth more, or it is larger than the spool.

        Raises:
            StorageError: the disk is full or refuses; the spool is as before.
            ConfigError: the item's id, gain or capture time cannot be stored.
        """
        _check(item)
        content = encode_item(item)
        row = (item.frame_id, rank_of(item), _microseconds(item.captured_at), len(content))
        path = self._path(item.frame_id)
        with self._lock:
            try:
                if self._connection.execute("SELECT 1 FROM frame WHERE frame_id = ?", row[:1]).fetchone():
                    return ()
                evicted = self._make_room(row)
                if item.frame_id in evicted:
                    return (item.frame_id,)
                if self._reserve is not None and not self._reserve.keep():
                    raise no_room("what is left is for the answers")
                write_durably(path, content)
                self._sync_commits(True)
                with transaction(self._connection):
                    losses = self._lose(evicted, Reason.EVICTED)
                    self._connection.execute(_INSERT, (*row, *self._mark()))
            except (OSError, sqlite3.Error) as error:
                remove(path)
                self._reopen_if_damaged(error)
                raise StorageError(f"cannot store frame {item.frame_id} in {self._frames}: {error}") from error
            self._lost.update(losses)
            for frame_id, size in evicted.items():
                remove(self._path(frame_id))
                self._forget(size)
            self._count += 1
            self._bytes += len(content)
        for listener in self._listeners:
            listener()
        return tuple(evicted)

    def next(self, exclude: Collection[str] = ()) -> SpoolItem | None:
        """The frame of the highest rank (`rank_of`) whose id is not in `exclude`; None if there is none.

        The frame stays in the spool until `ack`. Frames that are too old leave, and damaged ones: their files are moved
        to the folder `damaged`, and logged. `losses` has both.
        """
        passed_over = set(exclude)
        with self._lock:
            self._expire(passed_over)
            found = self._first_sound(passed_over)
            untold, self._untold = self._untold, False
        if untold:
            for listener in self._loss_listeners:
                listener()
        return found

    def peek(self, frame_id: str) -> SpoolItem | None:
        """The frame of this id, or None if it does not wait here or cannot be read."""
        with self._lock:
            try:
                return (
                    decode_item(self._path(frame_id).read_bytes(), frame_id) if _FRAME_ID.fullmatch(frame_id) else None
                )
            except (OSError, ValueError):
                return None

    def ack(self, *frame_ids: str) -> None:
        """Remove frames that are settled, or forget their loss; an id that is not there changes nothing.

        Never raises for a full or failing disk: the file goes first, and a row without a file goes at the next start.
        A kill does not undo it; a power cut may, and then the frame is sent once more.
        """
        known = [(frame_id,) for frame_id in frame_ids if _FRAME_ID.fullmatch(frame_id)]
        if not known:
            return
        with self._lock:
            for (frame_id,) in known:
                remove(self._path(frame_id))
            try:
                self._sync_commits(False)  # one that a power cut undoes sends one frame once more
                with transaction(self._connection):
                    for row in known:
                        size = self._connection.execute("SELECT bytes FROM frame WHERE frame_id = ?", row).fetchone()
                        if size is not None:
                            self._connection.execute("DELETE FROM frame WHERE frame_id = ?", row)
                            self._forget(size[0])
                        if self._lost.pop(row[0], None) is not None:
                            self._connection.execute("DELETE FROM lost WHERE frame_id = ?", row)
            except sqlite3.Error as error:
                _log.error("spool: cannot remove %s: %s", ", ".join(frame_ids), error)
                self._recount()
                self._reopen_if_damaged(error)

    def close(self) -> None:
        """Release the files. A second call does nothing."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._connection.close()

    def _open(self) -> None:
        """Open the index and bring it and the files to agree; one that proves damaged is rebuilt from the files."""
        open_database(
            self._index,
            schema=_SCHEMA,
            version=3,
            exclusive=True,
            fill=self._rebuild,
            save=self._save_losses,
            read=self._agree,
            checks_log=True,
            reserve=self._reserve,
        )

    def _agree(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        mark = self._connection.execute(_NEWEST_MARK).fetchone()
        self._clock = self._new_clock(ClockMark(*mark) if mark else None)
        rows = {frame_id for (frame_id,) in self._connection.execute("SELECT frame_id FROM frame")}
        lost = self._connection.execute("SELECT frame_id, captured_us, reason FROM lost")
        self._lost = {row[0]: Loss(row[0], _moment(row[1]), Reason(row[2])) for row in lost}
        files = {path.stem for path in self._frames.glob(f"*{_SUFFIX}")}
        for path in [*self._frames.glob("*.tmp"), *(self._path(name) for name in files & self._lost.keys() - rows)]:
            remove(path)
        with transaction(self._connection):
            self._adopt(self._connection, files - rows - self._lost.keys())
            missing = self._lose(rows - files, Reason.DAMAGED)
        self._lost.update(missing)
        self._untold = bool(self._lost)
        self._recount()

    def _rebuild(self, connection: sqlite3.Connection) -> None:
        """Fill a fresh index from the files that are there."""
        self._adopt(connection, {path.stem for path in self._frames.glob(f"*{_SUFFIX}")})

    def _save_losses(self, damaged: Path, connection: sqlite3.Connection, _: int | None) -> None:
        """Take over the losses that a damaged index tells of; the rest of what it says stands in the files."""
        for row in rows_of(damaged, "lost", "frame_id"):
            frame_id, captured_us, reason = row
            if isinstance(captured_us, int) and reason in _LOSSES and _FRAME_ID.fullmatch(str(frame_id)):
                connection.execute("INSERT OR REPLACE INTO lost VALUES (?, ?, ?)", row)
                connection.execute("DELETE FROM frame WHERE frame_id = ?", row[:1])

    def _adopt(self, connection: sqlite3.Connection, frame_ids: Iterable[str]) -> None:
        """Take files that have no row into the index; a damaged one is put aside and is a loss."""
        for frame_id in frame_ids:
            path = self._path(frame_id)
            try:
                captured_us = int(path.stat().st_mtime * 1e6)
                content = path.read_bytes()
                item = decode_item(content, frame_id)
            except (OSError, ValueError) as error:
                put_aside(path, self._damaged, error)
                connection.execute(
                    "INSERT OR REPLACE INTO lost VALUES (?, ?, ?)", (frame_id, captured_us, Reason.DAMAGED)
                )
                self._lost[frame_id] = Loss(frame_id, _moment(captured_us), Reason.DAMAGED)
            else:
                row = (frame_id, rank_of(item), _microseconds(item.captured_at), len(content), *self._mark())
                connection.execute(_INSERT, row)

    def _reopen_if_damaged(self, error: Exception) -> None:
        if is_damage(error):
            self._connection.close()
            aside = set_aside(self._index)
            _log.error("spool: the index is damaged (%s): set aside as %s and rebuilt", error, aside.name)
            self._aside = True
        if self._aside:
            try:
                self._open()
                self._aside = False
            except StorageError as failure:
                _log.error("spool: the index cannot be rebuilt for now: %s", failure)

    def _new_clock(self, mark: ClockMark | None) -> ElapsedClock:
        return ElapsedClock(mark, wall=self._wall, steady=self._steady, boot_id=self._boot_id)

    def _mark(self) -> tuple[int, float, float, str]:
        mark = self._clock.mark()
        return mark.elapsed_ns, mark.wall_s, mark.steady_s, mark.boot_id

    def _make_room(self, row: tuple[str, float, int, int]) -> dict[str, int]:
        """Ids and sizes of what must go so that `row` fits: the least valuable frames, or `row` itself."""
        frame_id, rank, captured_us, size = row
        if size > self._max_bytes:
            return {frame_id: size}
        excess = self._bytes + size - self._max_bytes
        evicted: dict[str, int] = {}
        with closing(self._connection.execute(_LAST_FIRST)) as candidates:
            for other_id, other_rank, other_us, other_size in candidates:
                if excess <= 0:
                    break
                if (-other_rank, other_us, other_id) < (-rank, captured_us, frame_id):
                    return {frame_id: size}
                evicted[other_id] = other_size
                excess -= other_size
        return evicted

    def _first_sound(self, passed_over: set[str]) -> SpoolItem | None:
        while (frame_id := self._first(passed_over)) is not None:
            path = self._path(frame_id)
            try:
                return decode_item(path.read_bytes(), frame_id)
            except FileNotFoundError:
                _log.warning("spool: %s is missing, the frame is passed over", path)
                self._drop([frame_id], Reason.DAMAGED)
            except ValueError as error:
                put_aside(path, self._damaged, error)
                self._drop([frame_id], Reason.DAMAGED)
            except OSError as error:
                _log.warning("spool: cannot read %s at present: %s", path, error)
            passed_over.add(frame_id)
        return None

    def _first(self, exclude: Collection[str]) -> str | None:
        for _ in range(2):  # the second time with a rebuilt index
            try:
                with closing(self._connection.execute(_IN_ORDER)) as rows:
                    return next((frame_id for (frame_id,) in rows if frame_id not in exclude), None)
            except sqlite3.Error as error:
                _log.error("spool: cannot read the index: %s", error)
                self._reopen_if_damaged(error)
        return None

    def _expire(self, exclude: Collection[str]) -> None:
        """Drop the frames that have waited too long, but not those in `exclude`: an answer may be on its way."""
        now_ns = self._clock.now_ns()
        if self._max_age_ns is None or now_ns < self._expiry_due_ns:
            return
        self._expiry_due_ns = now_ns + min(_EXPIRY_CHECK_NS, self._max_age_ns)
        try:
            rows = self._connection.execute("SELECT frame_id FROM frame WHERE put_ns < ?", [now_ns - self._max_age_ns])
            expired = [frame_id for (frame_id,) in rows if frame_id not in exclude]
        except sqlite3.Error as error:
            _log.error("spool: cannot read the index: %s", error)
            self._reopen_if_damaged(error)
            return
        if expired:
            _log.warning("spool: %d frames have waited too long and leave", len(expired))
            self._drop(expired, Reason.EXPIRED)

    def _drop(self, frame_ids: Collection[str], reason: Reason) -> None:
        """Frames leave without an answer; where the index cannot be written, they do so again at the next start."""
        try:
            self._sync_commits(True)
            with transaction(self._connection):
                losses = self._lose(frame_ids, reason)
        except sqlite3.Error as error:
            _log.error("spool: cannot take %d frames out of the index: %s", len(frame_ids), error)
            self._reopen_if_damaged(error)
            return
        self._lost.update(losses)
        self._untold = True
        for frame_id in frame_ids:
            remove(self._path(frame_id))
        self._recount()

    def _lose(self, frame_ids: Iterable[str], reason: Reason) -> dict[str, Loss]:
        """Move rows from the queue to the losses, within the caller's transaction."""
        losses = {}
        for frame_id in frame_ids:
            self._connection.execute(_LOSE, (reason, frame_id))
            (captured_us,) = self._connection.execute(
                "DELETE FROM frame WHERE frame_id = ? RETURNING captured_us", (frame_id,)
            ).fetchone()
            losses[frame_id] = Loss(frame_id, _moment(captured_us), reason)
        return losses

    def _sync_commits(self, wanted: bool) -> None:
        """Whether commits from now on are on the disk when they return, or only survive a kill."""
        self._connection.execute(f"PRAGMA synchronous={'FULL' if wanted else 'NORMAL'}")

    def _recount(self) -> None:
        try:
            found = self._connection.execute("SELECT count(*), coalesce(sum(bytes), 0) FROM frame").fetchone()
        except sqlite3.Error as error:
            _log.error("spool: cannot read the index: %s", error)
        else:
            self._count, self._bytes = found

    def _forget(self, size: int) -> None:
        self._count -= 1
        self._bytes -= size

    def _path(self, frame_id: str) -> Path:
        return self._frames / f"{frame_id}{_SUFFIX}"


def _check(item: SpoolItem) -> None:
    if not _FRAME_ID.fullmatch(item.frame_id):
        raise ConfigError(f'expected a frame id of 1 to 64 letters, digits, "-" or "_"; got {item.frame_id!r}')
    if not math.isfinite(item.gain):
        raise ConfigError(f"expected a gain that is a finite number; got {item.gain}")
    if item.captured_at.tzinfo is None:
        raise ConfigError(f"expected captured_at with a time zone; got the naive {item.captured_at.isoformat()}")


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)
