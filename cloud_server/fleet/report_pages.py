"""Answers and events page by page: in the order in which they came, or the newest first, by their time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from edge_sdk.errors import ConfigError
from edge_sdk.fleet.report_rows import Rows
from edge_sdk.terminal.line import one_line

_PLACE = re.compile(r"(-?[0-9]{1,16})\.([0-9]{1,18})", re.ASCII)

_ANSWERS = (
    "number, device, frame_id, event_id, captured_ms, utc_offset, source, model, label, confidence, origin, reason, "
    "device_label, device_confidence, audit"
)
_EVENTS = (
    "number, device, event_id, began_ms, ended_ms, utc_offset, source, frames, label, confidence, origin, reason, audit"
)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a page ends: a row by its time, and its number among those of that time.

    Attributes:
        at_ms: milliseconds since 1970.
        number: of the row.
    """

    at_ms: int
    number: int

    def __str__(self) -> str:
        return f"{self.at_ms}.{self.number}"

    @classmethod
    def parse(cls, text: str) -> Place:
        """Of which `str` made the text.

        Raises:
            ConfigError: it is none.
        """
        if not (found := _PLACE.fullmatch(text)):
            raise ConfigError(f"expected a page's place, as a reply has named it; got {one_line(text, 60)!r}")
        return cls(int(found[1]), int(found[2]))


def conditions_of(
    at: str, device: str = "", before: Place | None = None, after: Place | None = None
) -> tuple[list[str], list[object]]:
    """Conditions of SQL, and their values, for the rows of one page.

    Args:
        at: the column of the rows' time.
        device: of this device alone; "": of all.
        before: earlier ones than this.
        after: later ones than this.
    """
    conditions, values = ["1 = 1"], list[object]()
    if device:
        conditions.append("device = ?")
        values.append(device)
    for sign, place in (("<", before), (">", after)):
        if place is not None:
            conditions.append(f"({at}, number) {sign} (?, ?)")
            values += [place.at_ms, place.number]
    return conditions, values


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

    def newest_answers(self, limit: int, device: str = "", before: Place | None = None) -> list[dict[str, Any]]:
        """Answers by column name, those that were captured last at first.

        Args:
            limit: most rows.
            device: of this device alone; "": of all.
            before: where the page before this one ended; None: there is none.

        Raises:
            StorageError: they cannot be read.
        """
        return self._newest("answers", _ANSWERS, "captured_ms", limit, device, before)

    def newest_events(self, limit: int, device: str = "", before: Place | None = None) -> list[dict[str, Any]]:
        """Events, as `newest_answers`, by the time they began."""
        return self._newest("events", _EVENTS, "began_ms", limit, device, before)

    def _newest(
        self, table: str, columns: str, at: str, limit: int, device: str, before: Place | None
    ) -> list[dict[str, Any]]:
        conditions, values = conditions_of(at, device, before)
        where = " AND ".join(conditions)
        sql = f"SELECT {columns} FROM {table} WHERE {where} ORDER BY {at} DESC, number DESC LIMIT ?"
        names = columns.split(", ")
        return [dict(zip(names, row, strict=True)) for row in self.rows(sql, *values, limit)]

    def _page(self, table: str, columns: str, after: int, limit: int, device: str) -> list[dict[str, Any]]:
        of_device, values = (" AND device = ?", [device]) if device else ("", [])
        sql = f"SELECT {columns} FROM {table} WHERE number > ?{of_device} ORDER BY number LIMIT ?"
        names = columns.split(", ")
        return [dict(zip(names, row, strict=True)) for row in self.rows(sql, after, *values, limit)]
