"""What bounds the tables: rows, bytes, age. Frames that wait in the spool stay, and events go with their frames."""

from __future__ import annotations

import math
import sqlite3

from edge_sdk.store.audits import count_leaving
from edge_sdk.store.schema import OPEN, State

_TRIM_EVENTS = (
    f"DELETE FROM events WHERE ended = 1 AND state <> '{State.WAITING}' AND handled_ns < "
    f"coalesce((SELECT handled_ns FROM frames WHERE NOT ({OPEN}) ORDER BY number LIMIT 1), 0)"
)
_AGE_CHECK_NS = 3_600_000_000_000


class RowLimits:
    """Deletes the oldest settled frames beyond the limits, and the events that ended before the oldest frame left.

    Args:
        max_rows: most rows.
        max_bytes: most bytes of used pages; None: no limit.
        max_age_s: rows of frames handled longer ago, on the store's clock, go; None: none do.
    """

    def __init__(self, max_rows: int = 1_000_000, max_bytes: int | None = None, max_age_s: float | None = None) -> None:
        self._max_rows, self._max_bytes = max_rows, max_bytes
        self._max_age_ns = None if max_age_s is None else int(max_age_s * 1e9)
        self._age_due_ns = self._count_at = 0

    def enforce(self, connection: sqlite3.Connection, now_ns: int) -> list[str]:
        """Delete what is too much, within the caller's transaction; the pictures of rows that went."""
        excess = 0
        gone: list[tuple[str | None]] = []
        (newest,) = connection.execute("SELECT coalesce(max(number), 0) FROM frames").fetchone()
        if newest >= self._count_at:  # counting takes long: not before there can be too many
            over = _rows(connection) - self._max_rows
            spare = self._max_rows // 100
            excess = over + spare if over > 0 else 0
            self._count_at = newest + 1 + (spare if over > 0 else -over)
        if self._max_bytes is not None and (used := _used_bytes(connection)) > self._max_bytes:
            excess = max(excess, math.ceil(_rows(connection) * (1 - 0.99 * self._max_bytes / used)))
        if excess > 0:
            oldest = f"SELECT number FROM frames WHERE NOT ({OPEN}) ORDER BY number LIMIT ?1"
            gone += _delete(connection, oldest, excess)
        if self._max_age_ns is not None and now_ns >= self._age_due_ns:
            self._age_due_ns = now_ns + min(_AGE_CHECK_NS, self._max_age_ns)
            old = f"SELECT number FROM frames WHERE handled_ns < ?1 AND NOT ({OPEN})"
            gone += _delete(connection, old, now_ns - self._max_age_ns)
        if gone:
            connection.execute(_TRIM_EVENTS)
        return [picture for (picture,) in gone if picture is not None]


def _delete(connection: sqlite3.Connection, numbers: str, value: int) -> list[tuple[str | None]]:
    """Delete the rows whose numbers a query of one value, `?1`, gives; what audits say of them stays."""
    count_leaving(connection, numbers, value)
    return connection.execute(f"DELETE FROM frames WHERE number IN ({numbers}) RETURNING picture", [value]).fetchall()


def _rows(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM frames").fetchone()[0])


def _used_bytes(connection: sqlite3.Connection) -> int:
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)
