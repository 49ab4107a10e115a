"""The spool: the durable, bounded queue of frames that wait for the cloud.

Each frame is one file that carries all there is to know of it (metadata, encoded image, checksum); an SQLite index
beside the files orders them. A frame is on the disk, and in the index, when `put` returns. The order of the steps makes
every crash harmless: a file without a row was never promised or is already acknowledged and is deleted at the next
start; a row without a file is acknowledged and goes too. A damaged index is rebuilt from the files.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import re
import sqlite3
import threading
from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge_sdk.database import is_damage, open_database, set_aside, storable, sync_folder, transaction
from edge_sdk.errors import ConfigError, StorageError

_log = logging.getLogger(__name__)

_MAGIC = b"ESPOOL1\n"
_DIGEST_BYTES = 16
_SUFFIX = ".frame"
_FRAME_ID = re.compile(r"[0-9A-Za-z_-]{1,64}", re.ASCII)
_MAX_DAMAGED_FILES = 16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SCHEMA = (
    "CREATE TABLE frame (frame_id TEXT PRIMARY KEY, gain REAL NOT NULL, captured_us INTEGER NOT NULL, "
    "bytes INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX frame_order ON frame (gain DESC, captured_us, frame_id)",
)
_IN_ORDER = "SELECT frame_id FROM frame ORDER BY gain DESC, captured_us, frame_id"
_LAST_FIRST = "SELECT frame_id, gain, captured_us, bytes FROM frame ORDER BY gain, captured_us DESC, frame_id DESC"
_INSERT = "INSERT OR REPLACE INTO frame VALUES (?, ?, ?, ?)"


@dataclass(frozen=True, slots=True, eq=False)
class SpoolItem:
    """A frame that waits for the cloud.

    Attributes:
        frame_id: the frame's id: 1 to 64 letters, digits, "-" or "_".
        image: the encoded picture, as it goes over the wire.
        probabilities: `float32 (C,)`, the little model's.
        gain: expected rise in correctness if the big model answers; a number, the higher the more urgent.
        captured_at: the frame's capture time, with a time zone.
        source: the frame's source.
    """

    frame_id: str
    image: bytes
    probabilities: NDArray[np.float32]
    gain: float
    captured_at: datetime
    source: str


class _Stored(msgspec.Struct, array_like=True, frozen=True):
    """A `SpoolItem` as it stands in a file."""

    frame_id: str
    captured_at: str
    source: str
    gain: float
    probabilities: bytes
    image: bytes


class Spool:
    """The queue. Threads may share it; two processes may not.

    Args:
        directory: where it lives; created if missing.
        max_bytes: most bytes of frame files that are kept; the least valuable frames are evicted beyond that. The index
            (some 100 bytes for a frame) and at most 16 damaged files come on top.

    Raises:
        StorageError: the directory cannot be used, or another process holds it.
    """

    def __init__(self, directory: Path, *, max_bytes: int = 200_000_000) -> None:
        if max_bytes <= 0:
            raise ConfigError(f"expected a spool of more than 0 bytes; got {max_bytes}")
        self._index = directory / "index.sqlite3"
        self._frames = directory / "frames"
        self._damaged = directory / "damaged"
        self._max_bytes = max_bytes
        self._lock = threading.RLock()
        self._listeners: list[Callable[[], None]] = []
        self._closed = False
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

    def add_listener(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each frame that is put, in the thread that puts it."""
        self._listeners.append(listener)

    def put(self, item: SpoolItem) -> tuple[str, ...]:
        """Store `item`; it is durable when this returns. A frame id that is already there changes nothing.

        Returns:
            The ids of the frames that were evicted to make room, lowest gain first (among equals the youngest); the
            item's own id alone if the frames that are there are all worth more, or it is larger than the spool.

        Raises:
            StorageError: the disk is full or refuses; the spool is as before.
            ConfigError: the item's id, gain or capture time cannot be stored.
        """
        _check(item)
        content = _encode(item)
        row = (item.frame_id, float(item.gain), _microseconds(item.captured_at), len(content))
        path = self._path(item.frame_id)
        with self._lock:
            try:
                if self._connection.execute("SELECT 1 FROM frame WHERE frame_id = ?", row[:1]).fetchone():
                    return ()
                evicted = self._make_room(row)
                if item.frame_id in evicted:
                    return (item.frame_id,)
                _write_durably(path, content)
                self._connection.execute("PRAGMA synchronous=FULL")
                with transaction(self._connection):
                    self._connection.executemany("DELETE FROM frame WHERE frame_id = ?", [(name,) for name in evicted])
                    self._connection.execute(_INSERT, row)
            except (OSError, sqlite3.Error) as error:
                _remove(path)
                self._reopen_if_damaged(error)
                raise StorageError(f"cannot store frame {item.frame_id} in {self._frames}: {error}") from error
            for frame_id, size in evicted.items():
                _remove(self._path(frame_id))
                self._forget(size)
            self._count += 1
            self._bytes += len(content)
        for listener in self._listeners:
            listener()
        return tuple(evicted)

    def next(self, exclude: Collection[str] = ()) -> SpoolItem | None:
        """The frame of the highest gain, among equals the oldest, whose id is not in `exclude`; None if there is none.

        The frame stays in the spool until `ack`. A damaged file is moved to the folder `damaged`, logged, and passed
        over.
        """
        passed_over = set(exclude)
        with self._lock:
            while (frame_id := self._first(passed_over)) is not None:
                path = self._path(frame_id)
                try:
                    return _decode(path.read_bytes(), frame_id)
                except FileNotFoundError:
                    _log.warning("spool: %s is missing, the frame is passed over", path)
                    self.ack(frame_id)
                except ValueError as error:
                    self._put_aside(path, error)
                    self.ack(frame_id)
                except OSError as error:
                    _log.warning("spool: cannot read %s at present: %s", path, error)
                passed_over.add(frame_id)
            return None

    def ack(self, frame_id: str) -> None:
        """Remove a frame that is settled; an id that is not there changes nothing.

        Never raises for a full or failing disk: the file goes first, and a row without a file goes at the next start.
        A kill does not undo it; a power cut may, and then the frame is sent once more.
        """
        if not _FRAME_ID.fullmatch(frame_id):
            return
        with self._lock:
            _remove(self._path(frame_id))
            try:
                found = self._connection.execute("SELECT bytes FROM frame WHERE frame_id = ?", (frame_id,)).fetchone()
                if found is not None:
                    # No disk sync: an acknowledgement that a power cut undoes sends one frame once more.
                    self._connection.execute("PRAGMA synchronous=NORMAL")
                    self._connection.execute("DELETE FROM frame WHERE frame_id = ?", (frame_id,))
                    self._forget(found[0])
            except sqlite3.Error as error:
                _log.error("spool: cannot remove frame %s: %s", frame_id, error)
                self._reopen_if_damaged(error)

    def close(self) -> None:
        """Release the files. A second call does nothing."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._connection.close()

    def _open(self) -> None:
        """Open the index and bring it and the files to agree."""
        self._connection = open_database(self._index, schema=_SCHEMA, version=1, exclusive=True, fill=self._rebuild)
        rows = dict(self._connection.execute("SELECT frame_id, bytes FROM frame"))
        files = {path.stem for path in self._frames.glob(f"*{_SUFFIX}")}
        for path in [*self._frames.glob("*.tmp"), *(self._path(name) for name in files - rows.keys())]:
            _remove(path)
        for frame_id in rows.keys() - files:
            self._connection.execute("DELETE FROM frame WHERE frame_id = ?", (frame_id,))
        self._count = len(rows.keys() & files)
        self._bytes = sum(rows[frame_id] for frame_id in rows.keys() & files)

    def _rebuild(self, connection: sqlite3.Connection) -> None:
        """Fill a fresh index from the files that are there."""
        for path in self._frames.glob(f"*{_SUFFIX}"):
            try:
                content = path.read_bytes()
                item = _decode(content, path.stem)
            except (OSError, ValueError) as error:
                self._put_aside(path, error)
            else:
                connection.execute(_INSERT, (item.frame_id, item.gain, _microseconds(item.captured_at), len(content)))

    def _reopen_if_damaged(self, error: Exception) -> None:
        if is_damage(error):
            self._connection.close()
            aside = set_aside(self._index)
            _log.error("spool: the index is damaged (%s): set aside as %s and rebuilt", error, aside.name)
            self._open()

    def _make_room(self, row: tuple[str, float, int, int]) -> dict[str, int]:
        """Ids and sizes of what must go so that `row` fits: the least valuable frames, or `row` itself."""
        frame_id, gain, captured_us, size = row
        if size > self._max_bytes:
            return {frame_id: size}
        excess = self._bytes + size - self._max_bytes
        evicted: dict[str, int] = {}
        with closing(self._connection.execute(_LAST_FIRST)) as candidates:
            for other_id, other_gain, other_us, other_size in candidates:
                if excess <= 0:
                    break
                if (-other_gain, other_us, other_id) < (-gain, captured_us, frame_id):
                    return {frame_id: size}
                evicted[other_id] = other_size
                excess -= other_size
        return evicted

    def _first(self, exclude: Collection[str]) -> str | None:
        for _ in range(2):  # the second time with a rebuilt index
            try:
                with closing(self._connection.execute(_IN_ORDER)) as rows:
                    return next((frame_id for (frame_id,) in rows if frame_id not in exclude), None)
            except sqlite3.Error as error:
                _log.error("spool: cannot read the index: %s", error)
                self._reopen_if_damaged(error)
        return None

    def _forget(self, size: int) -> None:
        self._count -= 1
        self._bytes -= size

    def _path(self, frame_id: str) -> Path:
        return self._frames / f"{frame_id}{_SUFFIX}"

    def _put_aside(self, path: Path, error: Exception) -> None:
        """Keep a damaged file for inspection, the newest few only."""
        _log.error("spool: %s is damaged (%s), moved to %s", path.name, error, self._damaged)
        try:
            os.replace(path, self._damaged / path.name)
            kept = sorted(self._damaged.iterdir(), key=lambda file: file.stat().st_mtime, reverse=True)
            for file in kept[_MAX_DAMAGED_FILES:]:
                file.unlink(missing_ok=True)
        except OSError as failure:
            _log.error("spool: cannot move %s: %s", path.name, failure)


def _check(item: SpoolItem) -> None:
    if not _FRAME_ID.fullmatch(item.frame_id):
        raise ConfigError(f'expected a frame id of 1 to 64 letters, digits, "-" or "_"; got {item.frame_id!r}')
    if not math.isfinite(item.gain):
        raise ConfigError(f"expected a gain that is a finite number; got {item.gain}")
    if item.captured_at.tzinfo is None:
        raise ConfigError(f"expected captured_at with a time zone; got the naive {item.captured_at.isoformat()}")


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _encode(item: SpoolItem) -> bytes:
    """The content of the item's file: magic, checksum of the rest, MessagePack."""
    stored = _Stored(
        frame_id=item.frame_id,
        captured_at=item.captured_at.isoformat(),
        source=storable(item.source),
        gain=float(item.gain),
        probabilities=np.ascontiguousarray(item.probabilities, dtype="<f4").tobytes(),
        image=item.image,
    )
    body = msgspec.msgpack.encode(stored)
    return _MAGIC + hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest() + body


def _decode(content: bytes, frame_id: str) -> SpoolItem:
    """The item in a file's content; ValueError if it is damaged."""
    start = len(_MAGIC) + _DIGEST_BYTES
    body = content[start:]
    digest = hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest()
    if content[:start] != _MAGIC + digest:
        raise ValueError(f"checksum of {len(content)} bytes is wrong")
    stored = msgspec.msgpack.decode(body, type=_Stored)
    if stored.frame_id != frame_id:
        raise ValueError(f"holds frame {stored.frame_id}")
    return SpoolItem(
        frame_id=stored.frame_id,
        image=stored.image,
        probabilities=np.frombuffer(stored.probabilities, dtype="<f4").astype(np.float32),
        gain=stored.gain,
        captured_at=datetime.fromisoformat(stored.captured_at),
        source=stored.source,
    )


def _remove(path: Path) -> None:
    """Delete a file; one that cannot be deleted now goes at the next start."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        _log.error("spool: cannot remove %s: %s", path, error)


def _write_durably(path: Path, content: bytes) -> None:
    """Write a file so that after any crash it is either there in full under its name or not there."""
    temporary = path.with_suffix(".tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        _remove(temporary)
        raise
    sync_folder(path.parent)
