"""What the table knows of audits, rows that have left included."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace

import pytest
from store_parts import cloud, record

from edge_sdk.store import schema
from edge_sdk.store.audits import OTHERS, AuditCounts, count_leaving, read_audits, read_counts, take_over_counts
from edge_sdk.store.events import stands_for
from edge_sdk.store.limits import RowLimits
from edge_sdk.store.schema import State, first_row
from edge_sdk.types import Reason

MODEL = "trailcam 2"


@pytest.fixture
def table() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for statement in schema.SCHEMA:
        connection.execute(statement)
    yield connection
    connection.close()


def put(
    table: sqlite3.Connection,
    number: int,
    chance: float | None,
    *,
    audit: bool = False,
    big: str = "",
    truth: str | None = None,
    model: str = MODEL,
    label: str | None = "fox",
) -> None:
    """One frame of which the device says `label`; `big` answers it, or it waits if it is audited."""
    said = replace(record(f"{number:032x}", label, final=not audit, truth=truth), model=model, audit_chance=chance)
    if chance is None and label is not None:
        said = replace(said, answer=replace(said.answer, reason=Reason.UNSURE))
    state = State.WAITING if audit else State.FINAL
    table.execute(schema.INSERT, first_row(replace(said, audit=audit), state, number))
    if big:
        reply = cloud(said.answer.frame_id, "mixed")
        values = (reply.label, 0.9, f'[["{big}", 0.9]]', "big", "", "", None, 0.0, reply.frame_id)
        table.execute(schema.ANSWER, values)


def fill(table: sqlite3.Connection) -> None:
    put(table, 0, None)  # before audits began
    put(table, 1, 0.1)
    put(table, 2, 0.1, audit=True, big="fox")
    put(table, 3, 0.5, audit=True, big="deer", truth="deer")
    put(table, 4, 0.5, audit=True)
    put(table, 5, 0.0)
    put(table, 6, None)
    put(table, 7, 0.5, audit=True, big="deer", truth="fox")
    put(table, 8, 0.5, audit=True, big="deer")
    put(table, 9, 0.5, audit=True, big="deer", model="trailcam 3")
    put(table, 10, None, label=None)


EXPECTED = (
    AuditCounts(OTHERS, 1),
    AuditCounts(0.0, 1),
    AuditCounts(0.1, 2, 1, 1),
    AuditCounts(0.5, 4, 4, 3, 1, differ=3, labelled=2, wrong=1, lost=1, won=1, open=1),
)


def test_frames_are_counted_by_their_chance(table: sqlite3.Connection) -> None:
    fill(table)
    found = read_audits(table, MODEL)
    assert found.counts == EXPECTED
    assert found.covered == EXPECTED[2:]
    assert [(one.exits, one.chance, one.device, one.big, one.truth) for one in found.differences] == [
        (3, 0.5, "fox", "deer", "deer"),
        (5, 0.5, "fox", "deer", "fox"),
        (6, 0.5, "fox", "deer", None),
    ]


def test_counts_of_rows_that_leave_stay(table: sqlite3.Connection) -> None:
    fill(table)
    before = read_audits(table, MODEL)
    for rows in (8, 5):
        RowLimits(max_rows=rows).enforce(table, 0)
        after = read_audits(table, MODEL)
        assert after.counts == before.counts
        assert [one.exits for one in after.differences] == [
            one.exits for one in before.differences if one.frame_id in {late.frame_id for late in after.differences}
        ]
    assert len(after.differences) < 3
    assert sum(one.frames for one in after.gone) > 2


def put_difference(table: sqlite3.Connection, number: int, day: int, says: str, big: str) -> None:
    put(table, number, 0.5, audit=True, big=big, label=says)
    table.execute("UPDATE frames SET captured_us = ? WHERE number = (SELECT max(number) FROM frames)", [day * DAY_US])


DAY_US = 86_400_000_000
DAILY = [(day, says, big) for day in (0, 0, 0, 1, 1, 3, 3, 3) for says, big in (("fox", "deer"), ("empty", "bird"))]


@pytest.mark.parametrize("steps", [(15,), (13, 9, 4, 2), tuple(range(15, 0, -1))])
def test_one_cause_of_a_day_counts_once_for_the_alarm_while_rows_leave(
    table: sqlite3.Connection, steps: tuple[int, ...]
) -> None:
    for number, (day, says, big) in enumerate(DAILY):
        put_difference(table, number, day, says, big)
    found = read_audits(table, MODEL)
    assert [one.repeats for one in found.differences] == [
        (day, says) in {(of, name) for of, name, _ in DAILY[:number]} for number, (day, says, _) in enumerate(DAILY)
    ]
    for rows in steps:
        RowLimits(max_rows=rows).enforce(table, 0)
        after = read_audits(table, MODEL)
        here = [(one.captured_at, one.device) for one in after.differences if not one.repeats]
        assert sum(one.causes for one in after.gone) + len(here) == 6
        assert [one.differ for one in after.counts] == [16]


def test_the_counts_alone_are_those_of_all_that_is_known(table: sqlite3.Connection) -> None:
    fill(table)
    assert read_counts(table, MODEL) == read_audits(table, MODEL).covered != ()
    for number in (2, 3):
        count_leaving(table, "SELECT ?1", number)
        table.execute("DELETE FROM frames WHERE number = ?", [number])
        assert read_counts(table, MODEL) == read_audits(table, MODEL).covered
    assert read_counts(table, "another") == ()


def test_a_table_without_audits_counts_nothing(table: sqlite3.Connection) -> None:
    put(table, 0, None)
    assert read_audits(table, MODEL).counts == ()


def test_every_fiftieth_audit_is_told_over_rows_that_left(table: sqlite3.Connection) -> None:
    for number in range(240):
        put(table, number, 0.5, audit=number % 2 == 0, big="fox" if number % 2 == 0 else "")
    assert read_audits(table, MODEL).starts == ((1, 99, 0), (2, 199, 0))
    RowLimits(max_rows=120).enforce(table, 0)
    assert read_audits(table, MODEL).starts == ((2, 199, 0),)


def put_event(
    table: sqlite3.Connection,
    number: int,
    chance: float | None,
    *,
    audit: bool = False,
    big: str = "",
    says: str = "deer",
) -> None:
    """Two frames of an event that was answered as a whole; the device says `says` of it, and a fox of each frame."""
    for frame in range(2):
        said = replace(record(f"{number + frame:032x}", "fox", final=True), model=MODEL)
        said = replace(said, answer=replace(said.answer, reason=Reason.EVENT))
        table.execute(schema.INSERT, first_row(said, State.FINAL, number + frame))
    if not audit:
        stands = stands_for(said.answer.frame_id, says, audit_chance=chance)
        table.execute(stands.sql, stands.values)
        return
    travels = replace(said, answer=replace(said.answer, reason=Reason.AUDIT, final=False), audit=True)
    travels = replace(travels, audit_chance=chance, event_class=says)
    table.execute(schema.WAIT, first_row(travels, State.WAITING, number + 1))
    if big:
        values = ("mixed", 0.9, f'[["{big}", 0.9]]', "big", "", "", None, 0.0, said.answer.frame_id)
        table.execute(schema.ANSWER, values)


def fill_with_events(table: sqlite3.Connection) -> None:
    put(table, 1, 0.5, audit=True, big="deer")
    put_event(table, 2, 0.5)
    put_event(table, 4, 0.5, audit=True, big="deer")
    put_event(table, 6, None)
    put_event(table, 8, 0.5, audit=True, big="fox")
    put_event(table, 10, 0.0)
    put(table, 12, 0.5, audit=True, big="deer")


def test_an_event_counts_once_by_what_the_device_says_of_it(table: sqlite3.Connection) -> None:
    fill_with_events(table)
    found = read_audits(table, MODEL)
    assert found.counts == (
        AuditCounts(0.5, 2, 2, 2, differ=2, open=2),
        AuditCounts(OTHERS, 1, events=True),
        AuditCounts(0.0, 1, events=True),
        AuditCounts(0.5, 3, 2, 2, differ=1, open=1, events=True),
    )
    assert [(one.exits, one.event_exits, one.is_event, one.device, one.big) for one in found.differences] == [
        (1, 0, False, "fox", "deer"),
        (4, 3, True, "deer", "fox"),
        (5, 3, False, "fox", "deer"),
    ]


def test_counts_of_events_that_leave_stay_apart_from_those_of_frames(table: sqlite3.Connection) -> None:
    fill_with_events(table)
    before = read_audits(table, MODEL)
    for rows in (8, 3, 1):
        RowLimits(max_rows=rows).enforce(table, 0)
        after = read_audits(table, MODEL)
        assert after.counts == before.counts
        left = {one.frame_id for one in after.differences}
        stayed = [one for one in before.differences if one.frame_id in left]
        assert [replace(one, repeats=False) for one in after.differences] == [
            replace(one, repeats=False) for one in stayed
        ]
    assert {one.events for one in after.gone} == {False, True}


def test_counts_of_an_older_version_are_of_frames(table: sqlite3.Connection) -> None:
    names = "frames, drawn, answered, waiting, differ, labelled, wrong, lost, won, open"
    columns = ", ".join(f"{name} INTEGER NOT NULL" for name in names.split(", "))
    table.execute(f"CREATE TABLE audits (model TEXT, chance REAL, {columns}, PRIMARY KEY (model, chance))")
    table.execute("INSERT INTO audits VALUES (?, 0.5, 9, 4, 3, 1, 2, 0, 0, 0, 0, 2)", [MODEL])
    for _ in range(2):
        take_over_counts(table)
        assert read_audits(table, MODEL).counts == (AuditCounts(0.5, 9, 4, 3, 1, differ=2, open=2),)
