"""The frames whose final answer the server has not been told of yet, as the column `reported` says."""

from __future__ import annotations

import json
from collections.abc import Iterable

from edge_sdk.store.schema import COLUMNS, SETTLED, JournalEntry, entry_of
from edge_sdk.store.table import Change, FrameTable

_NEWEST = (
    f"SELECT number, handled_ns, {COLUMNS} FROM frames WHERE reported = 0 AND {SETTLED} ORDER BY number DESC LIMIT ?"
)
_MARK = f"UPDATE frames SET reported = 1 WHERE number IN (SELECT value FROM json_each(?)) AND {SETTLED}"


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

    def mark(self, numbers: Iterable[int]) -> None:
        """The server has these rows. It is on the disk with the next group of changes: a crash reports them again."""
        if given := list(numbers):
            self._table.change(Change(_MARK, (json.dumps(given),)))
