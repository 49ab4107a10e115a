"""What bounds the journal: rows, bytes, age. Frames that may still be answered stay."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable

_AGE_CHECK_S = 3600.0
_FINAL = "(cloud_reason IS NOT NULL OR device_final = 1)"


class JournalLimits:
    """Deletes the oldest settled rows of table `frame` beyond the limits.

    Args:
        max_rows: most rows.
        max_bytes: most bytes of used pages; None: no limit.
        max_age_s: frames captured longer ago go; None: none do.
        clock: wall time in seconds since 1970.
    """

    def __init__(
        self, max_rows: int, max_bytes: int | None, max_age_s: float | None, clock: Callable[[], float]
    ) -> None:
        self._max_rows, self._max_bytes, self._max_age_s, self._clock = max_rows, max_bytes, max_age_s, clock
        self._age_due_s = 0.0
        self._count_at = 0

    def enforce(self, connection: sqlite3.Connection) -> int:
        """Delete what is too much, within the caller's transaction; how many rows that was."""
        excess = deleted = 0
        (newest,) = connection.execute("SELECT coalesce(max(number), 0) FROM frame").fetchone()
        if newest >= self._count_at:  # counting takes long: not before there can be too many
            over = _rows(connection) - self._max_rows
            spare = self._max_rows // 100
            excess = over + spare if over > 0 else 0
            self._count_at = newest + 1 + (spare if over > 0 else -over)
        if self._max_bytes is not None and (used := _used_bytes(connection)) > self._max_bytes:
            share = 1 - 0.99 * self._max_bytes / used
            excess = max(excess, math.ceil(_rows(connection) * share))
        if excess > 0:
            deleted += connection.execute(
                f"DELETE FROM frame WHERE number IN (SELECT number FROM frame WHERE {_FINAL} ORDER BY number LIMIT ?)",
                [excess],
            ).rowcount
        now_s = self._clock()
        if self._max_age_s is not None and not 0 <= self._age_due_s - now_s <= _AGE_CHECK_S:
            self._age_due_s = now_s + _AGE_CHECK_S
            oldest_us = int((now_s - self._max_age_s) * 1e6)
            deleted += connection.execute(f"DELETE FROM frame WHERE captured_us < ? AND {_FINAL}", [oldest_us]).rowcount
        return deleted


def _rows(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM frame").fetchone()[0])


def _used_bytes(connection: sqlite3.Connection) -> int:
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)
