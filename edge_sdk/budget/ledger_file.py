"""The ledger's SQLite file: charges by the minute, leases, counters, notes, and the clock's mark."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Mapping

from edge_sdk.budget.account import MINUTE_NS, Account
from edge_sdk.budget.limits import MAX_PERIOD_S, Budget, Resource
from edge_sdk.durable.clock import ClockMark

_TABLE = "CREATE TABLE IF NOT EXISTS"
SCHEMA = (
    # A minute's charges count as made at its last moment, or at the moment of reading if that is earlier.
    f"{_TABLE} spent (resource TEXT, minute INTEGER, amount INTEGER NOT NULL, PRIMARY KEY (resource, minute)) "
    "WITHOUT ROWID",
    f"{_TABLE} lease (resource TEXT PRIMARY KEY, amount INTEGER NOT NULL, until_ns INTEGER NOT NULL) WITHOUT ROWID",
    f"{_TABLE} clock (elapsed_ns INTEGER NOT NULL, wall_s REAL NOT NULL, steady_s REAL NOT NULL, boot_id TEXT)",
    f"{_TABLE} counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    f"{_TABLE} note (name TEXT PRIMARY KEY, content BLOB NOT NULL) WITHOUT ROWID",
)
_HISTORY_MINUTES = int(MAX_PERIOD_S // 60) + 2


def read(connection: sqlite3.Connection) -> tuple[ClockMark | None, dict[str, int], dict[str, bytes]]:
    """The clock's last mark (None in a fresh file), the counters, and the notes."""
    row = connection.execute("SELECT elapsed_ns, wall_s, steady_s, boot_id FROM clock").fetchone()
    counters = dict(connection.execute("SELECT name, value FROM counter"))
    notes = dict(connection.execute("SELECT name, content FROM note"))
    return ClockMark(*row) if row else None, counters, notes


def restore(connection: sqlite3.Connection, account: Account, now_ns: int) -> None:
    """Fill an account's windows. A lease that was not given back counts as spent.

    Args:
        connection: the open file.
        account: a new account; it is changed.
        now_ns: the time on the ledger's clock.
    """
    lease = connection.execute("SELECT amount, until_ns FROM lease WHERE resource = ?", (account.resource,)).fetchone()
    if lease is not None and lease[0] > 0:
        account.unwritten[min(lease[1], now_ns) // MINUTE_NS] = lease[0]
    if not account.windows:
        return
    first = (now_ns - max(window.period_ns for window in account.windows)) // MINUTE_NS - 1
    rows = connection.execute(
        "SELECT minute, amount FROM spent WHERE resource = ? AND minute >= ? ORDER BY minute",
        (account.resource, first),
    ).fetchall()
    for minute, amount in sorted(rows + list(account.unwritten.items())):
        for window in account.windows:
            window.charge(amount, min((minute + 1) * MINUTE_NS - 1, now_ns))


def fill_spent(connection: sqlite3.Connection, budgets: Iterable[Budget]) -> None:
    """Mark every budget as fully spent in minute 0 of a new file's clock."""
    most: dict[Resource, int] = {}
    for budget in budgets:
        most[budget.resource] = max(most.get(budget.resource, 0), budget.limit)
    connection.executemany("INSERT INTO spent VALUES (?, 0, ?)", list(most.items()))


def write(
    connection: sqlite3.Connection,
    accounts: Collection[Account],
    counters: Mapping[str, int],
    notes: Mapping[str, bytes],
    mark: ClockMark,
) -> None:
    """Write everything within the caller's transaction; delete history older than the longest period."""
    for account in accounts:
        connection.executemany(
            "INSERT INTO spent VALUES (?, ?, ?) "
            "ON CONFLICT (resource, minute) DO UPDATE SET amount = amount + excluded.amount",
            [(account.resource, minute, amount) for minute, amount in account.unwritten.items()],
        )
        connection.execute(
            "DELETE FROM spent WHERE resource = ? AND minute < ?",
            (account.resource, mark.elapsed_ns // MINUTE_NS - _HISTORY_MINUTES),
        )
        connection.execute(
            "INSERT OR REPLACE INTO lease VALUES (?, ?, ?)", (account.resource, account.lease, account.lease_until_ns)
        )
    connection.executemany("INSERT OR REPLACE INTO counter VALUES (?, ?)", counters.items())
    connection.executemany("INSERT OR REPLACE INTO note VALUES (?, ?)", notes.items())
    connection.execute("DELETE FROM clock")
    connection.execute(
        "INSERT INTO clock VALUES (?, ?, ?, ?)", (mark.elapsed_ns, mark.wall_s, mark.steady_s, mark.boot_id)
    )
