from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime

from edge_sdk.fleet.answers import ReportedAnswer
from edge_sdk.fleet.events import ReportedEvent
from edge_sdk.fleet.report_tables import (
    ANSWER_COLUMNS,
    ANSWERS_ADDED,
    EVENT_COLUMNS,
    EVENTS_ADDED,
    HISTORY_ADDED,
    PUT_ANSWER,
    PUT_EVENT,
    SCHEMA,
    answer_row,
    event_row,
)
from edge_sdk.types import Origin

AT = datetime(2026, 11, 1, tzinfo=UTC)
ANSWER = ReportedAnswer("f1", AT, "north", "trailcam", "fox", 0.5, Origin.DEVICE, None, "fox", 0.5, "")
EVENT = ReportedEvent("e1", "north", AT, AT, 3, "fox", 0.5, Origin.DEVICE, None)


def file() -> sqlite3.Connection:
    opened = sqlite3.connect(":memory:")
    for statement in SCHEMA:
        opened.execute(statement)
    return opened


def test_a_row_that_comes_again_takes_the_place_of_the_earlier_one_but_for_when_it_came() -> None:
    opened = file()
    for received_ms, label in ((5, "fox"), (9, "deer")):
        opened.execute(PUT_ANSWER, answer_row("cam-1", received_ms, replace(ANSWER, label=label)))
        opened.execute(PUT_EVENT, event_row("cam-1", received_ms, replace(EVENT, label=label)))
    for table in ("answers", "events"):
        assert opened.execute(f"SELECT received_ms, label FROM {table}").fetchall() == [(5, "deer")]
    opened.close()


def test_rows_have_a_value_for_each_column_and_tables_a_column_for_each() -> None:
    opened = file()

    def columns(table: str) -> set[str]:
        return {row[1] for row in opened.execute(f"PRAGMA table_info({table})")}

    assert len(answer_row("cam-1", 0, ANSWER)) == len(ANSWER_COLUMNS) and set(ANSWER_COLUMNS) <= columns("answers")
    assert len(event_row("cam-1", 0, EVENT)) == len(EVENT_COLUMNS) and set(EVENT_COLUMNS) <= columns("events")
    added = {"answers": ANSWERS_ADDED, "events": EVENTS_ADDED, "history": HISTORY_ADDED}
    assert all({one.split()[0] for one in names} <= columns(table) for table, names in added.items())
    opened.close()
