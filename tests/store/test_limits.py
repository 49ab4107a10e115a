"""What bounds the table."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest
from store_parts import record

from edge_sdk.store import schema
from edge_sdk.store.limits import RowLimits
from edge_sdk.store.schema import State, first_row

SECOND_NS = 1_000_000_000


@pytest.fixture
def table() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for statement in schema.SCHEMA:
        connection.execute(statement)
    yield connection
    connection.close()


def fill(table: sqlite3.Connection, count: int, *, waiting: int = 0) -> None:
    """`count` frames, one a second; the first `waiting` of them are in the spool."""
    for number in range(count):
        state = State.WAITING if number < waiting else State.FINAL
        row = first_row(record(f"{number:032x}"), state, number * SECOND_NS, f"frames/{number}", 10)
        table.execute(schema.INSERT, row)


def left(table: sqlite3.Connection) -> list[int]:
    return [int(frame_id, 16) for (frame_id,) in table.execute("SELECT frame_id FROM frames ORDER BY number")]


def test_the_oldest_settled_rows_go_and_what_waits_stays(table: sqlite3.Connection) -> None:
    fill(table, 20, waiting=2)
    gone = RowLimits(max_rows=10).enforce(table, 0)
    assert left(table)[:2] == [0, 1]
    assert len(left(table)) == 10
    assert gone == [f"frames/{number}" for number in range(2, 12)]


def test_rows_of_frames_handled_too_long_ago_go(table: sqlite3.Connection) -> None:
    fill(table, 20, waiting=1)
    RowLimits(max_age_s=5).enforce(table, 20 * SECOND_NS)
    assert left(table) == [0, 15, 16, 17, 18, 19]


def test_within_the_limits_nothing_goes(table: sqlite3.Connection) -> None:
    fill(table, 20)
    assert RowLimits(max_rows=20, max_bytes=10_000_000, max_age_s=100).enforce(table, 20 * SECOND_NS) == []
    assert len(left(table)) == 20


def test_bytes_are_bounded_too(table: sqlite3.Connection) -> None:
    fill(table, 2000)
    pages, size = (table.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    RowLimits(max_bytes=pages * size // 2).enforce(table, 0)
    assert len(left(table)) <= 1000
    assert left(table)[-1] == 1999
