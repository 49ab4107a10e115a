"""The frames and events whose last word the server has not been told of yet, as their column `reported` says."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from edge_sdk.store.schema import COLUMNS, SETTLED, JournalEntry, entry_of, moment
from edge_sdk.store.table import Change, FrameTable
from edge_sdk.types import Origin, Reason

_NEWEST = (
    f"SELECT number, handled_ns, {COLUMNS} FROM frames WHERE reported = 0 AND {SETTLED} ORDER BY number DESC LIMIT ?"
)
_MARK = f"UPDATE frames SET reported = 1 WHERE number IN (SELECT value FROM json_each(?)) AND {SETTLED}"
_EVENTS = "reported IS NULL AND ended = 1"
_NEWEST_EVENTS = (
    "SELECT event_id, source, began_us, ended_us, utc_offset_s, frames, last_label, last_confidence, origin, reason "
    f"FROM events WHERE {_EVENTS} AND {SETTLED} ORDER BY began_us DESC LIMIT ?"
)
_MARK_EVENTS = "UPDATE events SET reported = 1 WHERE event_id IN (SELECT value FROM json_each(?))"


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event that has ended, with its last word.

    Attributes:
        event_id: the id of its first frame.
        source: its camera.
        began_at: when its first frame was taken, with a time zone.
        ended_at: when its last frame was taken.
        frames: how many it has.
        label: the last word; "": there is none.
        confidence: of that, in [0, 1].
        origin: who says so.
        reason: why; None: one that this version does not know.
    """

    event_id: str
    source: str
    began_at: datetime
    ended_at: datetime
    frames: int
    label: str
    confidence: float
    origin: Origin
    reason: Reason | None


class Unreported:
    """Final answers that are to be reported. Threads may share it.

    Args:
        table: the table of frames.
    """

    def __init__(self, table: FrameTable) -> None:
        self._table = table

    def newest(self, limit: int, max_age_s: float) -> list[tuple[int, JournalEntry]]:
        """The latest frames, the newest first, each with its row's number.

        Args:
            limit: at most `limit` frames.
            max_age_s: frames that were handled longer ago, by the store's clock, are left out.

        Raises:
            StorageError: the file cannot be read.
        """
        since_ns = self._table.now_ns() - int(max_age_s * 1e9)
        found = self._table.read(_NEWEST, [limit])
        return [(row[0], entry_of(row[2:])) for row in found if row[1] >= since_ns]

    def newest_events(self, limit: int) -> list[EventRow]:
        """The latest events, the newest first; at most `limit`. Damaged rows are left out.

        Raises:
            StorageError: the file cannot be read.
        """
        return [found for row in self._table.read(_NEWEST_EVENTS, [limit]) if (found := _event(row)) is not None]

    def mark_events(self, ids: Iterable[str]) -> None:
        """The server has these events."""
        if given := list(ids):
            self._table.change(Change(_MARK_EVENTS, (json.dumps(given),)))

    def mark(self, numbers: Iterable[int]) -> None:
        """The server has these rows. It is on the disk with the next group of changes: a crash reports them again."""
        if given := list(numbers):
            self._table.change(Change(_MARK, (json.dumps(given),)))


def _event(row: tuple[Any, ...]) -> EventRow | None:
    event_id, source, began_us, ended_us, offset_s, frames, label, confidence, origin, reason = row
    try:
        return EventRow(
            str(event_id),
            str(source),
            moment(began_us, offset_s),
            moment(ended_us, offset_s),
            max(0, int(frames)),
            str(label),
            float(confidence),
            Origin(origin),
            Reason(reason) if reason in tuple(Reason) else None,
        )
    except (ValueError, TypeError, OverflowError):
        return None
