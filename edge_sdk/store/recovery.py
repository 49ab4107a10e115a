"""What a start finds: table and files are brought to agree, whatever the last run was stopped at.

A frame's file is on the disk before anyone hears that the frame waits, and goes only after its row is settled and
synced. So a stop leaves three things to find, and each has one right end:

- a file without a row (its group was not committed yet): the row is written from the file;
- a file whose row is settled: it goes, or into the archive;
- a row that waits without a whole file: the frame is lost, the device's answer is final.

Events that were open end: `pending` says which of their pictures go into the spool.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge_sdk.durable.ballast import free_bytes
from edge_sdk.durable.files import move, remove
from edge_sdk.store import events
from edge_sdk.store.frames import PARTIAL, SUFFIX, StoredFrame, decode_frame, put_aside, rank_of
from edge_sdk.store.pending import take_in
from edge_sdk.store.salvage import rows_in
from edge_sdk.store.schema import ADDED, FINISH, INSERT, OPEN, WAIT, FrameRecord, State, first_row
from edge_sdk.types import Answer, Origin, Reason

_log = logging.getLogger(__name__)

FRAMES, ARCHIVE, DAMAGED = "frames", "archive", "damaged"
"""Folders below the state folder: pictures that wait, that are kept, that are damaged."""

NOT_THERE = "its picture was not there"
"""The note on a frame that waited by its row, and had no picture at a start or when the table was rebuilt."""

_ROW_BYTES = 1_000
_LEAST_ROOM = 1 << 18
_SETTLED = {State.WAITING: 0, State.SENT: 1, State.FINAL: 2, State.LOST: 2, State.ANSWERED: 3}
_REASONS = frozenset(Reason)


def rebuild(connection: sqlite3.Connection, damaged: Path | None, folder: Path) -> None:
    """Fill a fresh table with what can be read of a damaged one, and from the frames' own files."""
    if damaged is not None:
        room = max(0, free_bytes(folder) - _LEAST_ROOM) // _ROW_BYTES
        copied = _copy_rows(damaged, connection, room)
        _log.warning("store: %d rows were saved from %s", copied, damaged.name)
    names = _names(folder / FRAMES)
    _adopt(connection, folder, names, FRAMES)
    _adopt(connection, folder, _names(folder / ARCHIVE), ARCHIVE)
    _finish(connection, _waiting(connection) - names)  # an older version of the row was read: the last word is gone
    events.rebuild(connection)


def agree(connection: sqlite3.Connection, folder: Path) -> None:
    """Make every frame either wait, with its file, or have a final answer; within the caller's transaction."""
    for place in (FRAMES, ARCHIVE):
        for path in (folder / place).glob(f"*{PARTIAL}"):  # a stop cut it short, and it was promised to nobody
            remove(path)
    rows, names = _waiting(connection), _names(folder / FRAMES)
    unknown, travelling = [], []
    for name in names - rows:
        settled = connection.execute("SELECT picture, reason FROM frames WHERE frame_id = ?", [name]).fetchone()
        if settled is None:
            unknown.append(name)
        elif settled[1] == Reason.EVENT:  # its event had just been decided, and the row does not say so yet
            travelling.append(name)
        else:
            move(folder / FRAMES / f"{name}{SUFFIX}", folder / settled[0] if settled[0] else None)
    _adopt(connection, folder, unknown, FRAMES)
    _adopt(connection, folder, travelling, FRAMES, WAIT)
    _finish(connection, rows - names)
    take_in(connection, folder, FRAMES, DAMAGED)
    events.close_open(connection)


def _waiting(connection: sqlite3.Connection) -> set[str]:
    return {frame_id for (frame_id,) in connection.execute(f"SELECT frame_id FROM frames WHERE {OPEN}")}


def _finish(connection: sqlite3.Connection, missing: set[str]) -> None:
    """Frames that wait without a file: the device's answers are final."""
    if missing:
        _log.warning("store: %d frames that waited have no picture any more", len(missing))
    for name in missing:
        connection.execute(FINISH, (State.LOST, Reason.DAMAGED, NOT_THERE, NOT_THERE, None, 0.0, name))


def _names(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob(f"*{SUFFIX}")}


def _adopt(connection: sqlite3.Connection, folder: Path, names: Iterable[str], place: str, put: str = INSERT) -> None:
    """Write the rows of files that have none; a damaged file is put aside, and its frame is lost."""
    for name in names:
        path = folder / place / f"{name}{SUFFIX}"
        captured_at = datetime.fromtimestamp(0, UTC)
        with suppress(OSError, ValueError, OverflowError):  # a date that no calendar has
            captured_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        try:
            content = path.read_bytes()
            stored = decode_frame(content, name)
        except (OSError, ValueError) as error:
            put_aside(path, folder / DAMAGED, error)
            said = Answer(name, captured_at, "", None, 0.0, Origin.DEVICE, True, Reason.DAMAGED)
            connection.execute(INSERT, first_row(FrameRecord(said), State.LOST, 0))
            continue
        if stored.item is None:
            put_aside(path, folder / DAMAGED, "checksum of the picture")
            lost = replace(stored.record, answer=replace(stored.record.answer, final=True, reason=Reason.DAMAGED))
            connection.execute(INSERT, first_row(lost, State.LOST, stored.handled_ns))
            continue
        connection.execute(put, _row(stored, place, len(content)))


def _row(stored: StoredFrame, place: str, size: int) -> tuple[Any, ...]:
    record, item = stored.record, stored.item
    assert item is not None
    state = State.FINAL if record.answer.final else State.WAITING
    if place == ARCHIVE and state is State.WAITING:  # what the cloud said of it is gone
        record = replace(record, answer=replace(record.answer, final=True, reason=Reason.DAMAGED))
        state = State.LOST
    rank = float(stored.handled_ns)
    if place == FRAMES:
        rank = rank_of(item.gain, len(item.image), stored.handled_ns)
    return first_row(record, state, stored.handled_ns, f"{place}/{item.frame_id}{SUFFIX}", size, rank)


def _copy_rows(damaged: Path, connection: sqlite3.Connection, room: int) -> int:
    """Copy the newest rows that can be read, at most `room`: of each frame the version that says most."""
    names = [row[1] for row in connection.execute("PRAGMA table_info(frames)")]
    (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    found: dict[str, list[Any]] = {}
    for row in rows_in(damaged, len(names), page_bytes, len(ADDED)):
        frame_id, state, reason = row[1], row[2], row[names.index("reason")]
        if state in _SETTLED and reason in _REASONS and isinstance(frame_id, str):
            known = found.get(frame_id)
            if known is None or _SETTLED[state] >= _SETTLED[known[2]]:
                found[frame_id] = row
    put = f"INSERT OR IGNORE INTO frames VALUES ({', '.join('?' * len(names))})"
    copied = 0
    for row in sorted(found.values(), key=lambda row: row[0], reverse=True)[:room]:
        with suppress(sqlite3.IntegrityError, sqlite3.InterfaceError):
            copied += connection.execute(put, row).rowcount or connection.execute(put, [None, *row[1:]]).rowcount
    return copied
