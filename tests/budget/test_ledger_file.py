"""What of a ledger stands in its file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from edge_sdk.budget import ledger_file
from edge_sdk.budget.account import MINUTE_NS, Account
from edge_sdk.budget.limits import MAX_PERIOD_S, Budget, Resource
from edge_sdk.durable.clock import ClockMark

HOUR = Budget(1000, 3600)


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for statement in ledger_file.SCHEMA:
        connection.execute(statement)
    yield connection
    connection.close()


def mark(elapsed_ns: int) -> ClockMark:
    return ClockMark(elapsed_ns, 1.0, 2.0, "boot")


def restored(connection: sqlite3.Connection, now_ns: int) -> int:
    account = Account(Resource.UPLOAD, [HOUR])
    ledger_file.restore(connection, account, now_ns)
    return account.windows[0].spent(now_ns)


def test_what_was_written_is_read(connection: sqlite3.Connection) -> None:
    assert ledger_file.read(connection) == (None, {}, {})
    account = Account(Resource.UPLOAD, [HOUR])
    account.charge(30, 0)
    account.lease = 0
    ledger_file.write(connection, [account], {"frames": 3}, {"note": b"x"}, mark(5))
    assert ledger_file.read(connection) == (mark(5), {"frames": 3}, {"note": b"x"})
    assert restored(connection, 5) == 30


def test_a_lease_that_was_not_given_back_counts_as_spent(connection: sqlite3.Connection) -> None:
    account = Account(Resource.UPLOAD, [HOUR])
    account.lease, account.lease_until_ns = 40, 7
    ledger_file.write(connection, [account], {}, {}, mark(5))
    assert restored(connection, 5) == 40


def test_history_beyond_the_longest_period_goes(connection: sqlite3.Connection) -> None:
    account = Account(Resource.UPLOAD, [HOUR])
    account.charge(30, 0)
    ledger_file.write(connection, [account], {}, {}, mark(0))
    account.unwritten.clear()
    ledger_file.write(connection, [account], {}, {}, mark(int(MAX_PERIOD_S * 1e9) + 5 * MINUTE_NS))
    assert connection.execute("SELECT count(*) FROM spent").fetchone() == (0,)


def test_after_damage_every_budget_is_spent(connection: sqlite3.Connection) -> None:
    ledger_file.fill_spent(connection, [HOUR, Budget(5, 60)])
    assert restored(connection, 0) == 1000
