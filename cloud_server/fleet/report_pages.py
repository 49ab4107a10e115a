"""Answers and events in the order in which they came, page by page: a page has the rows after a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edge_sdk.fleet.report_rows import Rows

_ANSWERS = (
    "number, device, frame_id, event_id, captured_ms, utc_offset, source, model, label, confidence, origin, reason, "
    "device_label, device_confidence, audit"
)
_EVENTS = (
    "number, device, event_id, began_ms, ended_ms, utc_offset, source, frames, label, confidence, origin, reason, audit"
)


@dataclass(frozen=True, slots=True)
class ReportPages:
    """Reads pages; from any thread.

    Attributes:
        rows: reads the reports' file, or the database that has them.
    """

    rows: Rows

    def answers(self, after: int, limit: int, device: str = "") -> list[dict[str, Any]]:
        """Answers by column name, those that came first at first.

        Args:
            after: the number of the last row that is known; 0: from the first on.
            limit: most rows.
            device: of this device alone; "": of all.

        Raises:
            StorageError: they cannot be read.
        """
        return self._page("answers", _ANSWERS, after, limit, device)

    def events(self, after: int, limit: int, device: str = "") -> list[dict[str, Any]]:
        """Events, as `answers`."""
        return self._page("events", _EVENTS, after, limit, device)

    def _page(self, table: str, columns: str, after: int, limit: int, device: str) -> list[dict[str, Any]]:
        of_device, values = (" AND device = ?", [device]) if device else ("", [])
        sql = f"SELECT {columns} FROM {table} WHERE number > ?{of_device} ORDER BY number LIMIT ?"
        names = columns.split(", ")
        return [dict(zip(names, row, strict=True)) for row in self.rows(sql, after, *values, limit)]
