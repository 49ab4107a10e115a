"""The frames and events whose last word the server has not been told of yet, as their column `reported` says."""

from __future__ import annotations

import json
from collections.abc import Iterable

from edge_sdk.store.events import COLUMNS as EVENT_COLUMNS
from edge_sdk.store.events import EventEntry
from edge_sdk.store.events import entry_of as event_of
from edge_sdk.store.schema import COLUMNS, SETTLED, JournalEntry, entry_of
from edge_sdk.store.table import Change, FrameTable
from edge_sdk.types import is_frame_id

_NEWEST = (
    f"SELECT number, handled_ns, {COLUMNS} FROM frames WHERE reported = 0 AND {SETTLED} ORDER BY number DESC LIMIT ?"
)
_MARK = f"UPDATE frames SET reported = 1 WHERE number IN (SELECT value FROM json_each(?)) AND {SETTLED}"
_EVENTS = "reported IS NULL AND ended = 1"
_NEWEST_EVENTS = f"SELECT {EVENT_COLUMNS} FROM events WHERE {_EVENTS} AND {SETTLED} ORDER BY began_us DESC LIMIT ?"
_MARK_EVENTS = "UPDATE events SET reported = 1 WHERE event_id IN (SELECT value FROM json_each(?))"
_MARK_NAMELESS = (
    f"UPDATE events SET reported = 1 WHERE {_EVENTS} AND {SETTLED} AND "
    "(typeof(event_id) <> 'text' OR length(event_id) <> 32 OR event_id GLOB '*[^0-9a-f]*')"
)


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

    def newest_events(self, limit: int) -> list[EventEntry]:
        """The latest events, the newest first; at most `limit`. Damaged rows are left out, and count as reported.

        Raises:
            StorageError: the file cannot be read.
        """
        rows = self._table.read(_NEWEST_EVENTS, [limit])
        sound = [found for row in rows if (found := event_of(row)) is not None and is_frame_id(found.event.event_id)]
        if len(sound) < len(rows):
            known = {one.event.event_id for one in sound}
            self.mark_events(str(row[0]) for row in rows if row[0] not in known)
            self._table.change(Change(_MARK_NAMELESS, ()))  # what is left of such an id does not find its row
        return sound

    def mark_events(self, ids: Iterable[str]) -> None:
        """The server has these events."""
        if given := list(ids):
            self._table.change(Change(_MARK_EVENTS, (json.dumps(given),)))

    def mark(self, numbers: Iterable[int]) -> None:
        """The server has these rows. It is on the disk with the next group of changes: a crash reports them again."""
        if given := list(numbers):
            self._table.change(Change(_MARK, (json.dumps(given),)))
