"""Pictures that would go to the cloud if their event ended now: one file for each open event, replaced by a better one.

The files have the format of the spool's (`frames`). At a start, what a stop has left here goes into the spool: the
event has ended.
"""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

from edge_sdk.durable.files import move, remove, sync
from edge_sdk.store import events
from edge_sdk.store.frames import (
    PARTIAL,
    SUFFIX,
    SpoolItem,
    StoredFrame,
    decode_frame,
    encode_frame,
    put_aside,
    rank_of,
    write_frame,
)
from edge_sdk.store.schema import WAIT, FrameRecord, State, first_row
from edge_sdk.types import Event

_log = logging.getLogger(__name__)

PENDING = "pending"
"""Their folder below the state folder."""


class Pending:
    """The pictures of open events. For one thread, but for `sync`.

    Args:
        folder: the state folder.
        durable: `put` returns when the picture is on the disk; False: it is there with the next group (`sync`).
    """

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self._folder, self._durable = folder / PENDING, durable
        self._unsynced: set[str] = set()

    def put(self, item: SpoolItem, record: FrameRecord, handled_ns: int) -> None:
        """Keep a picture until its event has ended.

        Args:
            item: the frame, as it would travel.
            record: the device's word on it; its answer is not final.
            handled_ns: now, on the store's clock.

        Raises:
            OSError: it cannot be written.
        """
        write_frame(self._path(item.frame_id), encode_frame(record, item, handled_ns), durable=self._durable)
        if not self._durable:
            self._unsynced.add(item.frame_id)

    def remove(self, frame_id: str) -> None:
        """A better picture is there, or the event is decided and that is on the disk."""
        self._unsynced.discard(frame_id)
        remove(self._path(frame_id))

    def sync(self) -> None:
        """Put the pictures on the disk that are not there yet."""
        while self._unsynced:
            frame_id = self._unsynced.pop()
            try:
                sync(self._path(frame_id))
            except FileNotFoundError:  # it has gone meanwhile
                continue
            except OSError as error:
                _log.error("store: cannot sync %s: %s", self._path(frame_id), error)

    def _path(self, frame_id: str) -> Path:
        return self._folder / f"{frame_id}{SUFFIX}"


def take_in(connection: sqlite3.Connection, folder: Path, frames: str, damaged: str) -> None:
    """Let the pictures of events that a stop has left open wait in the spool; within the caller's transaction.

    Args:
        connection: the table, in which no frame but these waits without a row.
        folder: the state folder.
        frames: folder below it of frames that wait.
        damaged: folder below it of files that could not be read.
    """
    for path in (folder / PENDING).glob(f"*{PARTIAL}"):
        remove(path)
    latest: dict[str, tuple[Path, StoredFrame, int]] = {}
    for path in (folder / PENDING).glob(f"*{SUFFIX}"):
        try:
            content = path.read_bytes()
            stored = decode_frame(content, path.stem)
            if stored.item is None:
                raise ValueError("checksum of the picture")
        except (OSError, ValueError) as error:
            put_aside(path, folder / damaged, error)
            lost = events.damaged(path.stem)
            connection.execute(lost.sql, lost.values)
            continue
        known = latest.get(stored.record.event)
        if known is not None:  # stopped while one replaced the other
            older = path if stored.handled_ns < known[1].handled_ns else known[0]
            remove(older)
            if older is path:
                continue
        latest[stored.record.event] = path, stored, len(content)
    for event_id, (path, stored, size) in latest.items():
        row = connection.execute("SELECT revision FROM events WHERE event_id = ?", (event_id,)).fetchone()
        if row is not None and row[0] > 0:  # it was decided
            remove(path)
            continue
        item, record = stored.item, stored.record
        assert item is not None
        target = f"{frames}/{item.frame_id}{SUFFIX}"
        rank = rank_of(item.gain, len(item.image), stored.handled_ns)
        connection.execute(WAIT, first_row(record, State.WAITING, stored.handled_ns, target, size, rank))
        event = _event_of(stored, event_id)
        change = events.put(
            event,
            State.WAITING,
            stored.handled_ns,
            ended=False,
            model=record.model,
            audit=record.audit,
            audit_chance=record.audit_chance,
        )
        if row is None:
            connection.execute(change.sql, change.values)
        else:
            stands = (item.frame_id, int(record.audit), record.audit_chance, event_id)
            connection.execute(
                "UPDATE events SET best_frame = ?, audit = ?, audit_chance = ? WHERE event_id = ?", stands
            )
        move(path, folder / target)


def _event_of(stored: StoredFrame, event_id: str) -> Event:
    """What is known of an event whose row was not written: its best frame, taken for all of it."""
    answer = stored.record.answer
    return Event(
        event_id=event_id,
        source=answer.source,
        began_at=answer.captured_at,
        ended_at=answer.captured_at,
        frames=1,
        label=answer.label or "",
        confidence=answer.confidence,
        best_frame_id=answer.frame_id,
        final=False,
        reason=answer.reason,
        revision=0,
        top_k=stored.record.top_k,
    )
