"""Rows of the table as values."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_parts import record

from edge_sdk.store import schema
from edge_sdk.store.schema import FrameRecord, State, entry_of, first_row, microseconds, moment
from edge_sdk.types import Answer, Origin, Reason

FRAME = "a" * 32


def stored(said: FrameRecord, state: State = State.FINAL) -> tuple[object, ...]:
    """The row that a table gives back."""
    with sqlite3.connect(":memory:") as table:
        for statement in schema.SCHEMA:
            table.execute(statement)
        table.execute(schema.INSERT, first_row(said, state, 7, "frames/x", 10, 0.5))
        row = table.execute(f"SELECT {schema.COLUMNS} FROM frames").fetchone()
    assert isinstance(row, tuple)
    return row


def test_a_record_comes_back_from_its_row() -> None:
    said = record(FRAME, final=True, truth="deer")
    entry = entry_of(stored(said))
    assert entry.answer == entry.device == said.answer
    assert (entry.truth, entry.model, entry.trigger, entry.event) == ("deer", said.model, said.trigger, said.event)
    assert (entry.top_k, entry.gain, entry.picture, entry.picture_bytes) == (said.top_k, said.gain, "frames/x", 10)
    assert entry.cloud is None


@pytest.mark.parametrize(("state", "final"), [(State.WAITING, False), (State.SENT, False), (State.LOST, True)])
def test_a_frame_is_final_once_it_waits_no_longer(state: State, final: bool) -> None:
    assert entry_of(stored(record(FRAME), state)).answer.final == final


@pytest.mark.parametrize("place", range(1, 13))
def test_a_row_of_nonsense_is_told_as_damaged(place: int) -> None:
    row = list(stored(record(FRAME)))
    row[place] = b"\\xff\\x00"
    entry = entry_of(tuple(row))
    assert entry.answer.frame_id == FRAME
    if entry.answer.reason is Reason.DAMAGED:
        assert entry.answer.final


@given(st.datetimes(datetime(1, 1, 3), datetime(9998, 12, 30)), st.integers(-14 * 60, 14 * 60))
def test_every_time_comes_back_to_the_microsecond(naive: datetime, minutes: int) -> None:
    when = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert moment(microseconds(when), minutes * 60) == when


@pytest.mark.parametrize("naive", [datetime.min, datetime.max])
@pytest.mark.parametrize("hours", [-12, 0, 14])
def test_the_ends_of_the_calendar_damage_no_row(naive: datetime, hours: int) -> None:
    captured_at = naive.replace(tzinfo=timezone(timedelta(hours=hours)))
    said = record(FRAME, final=True)
    entry = entry_of(stored(replace(said, answer=replace(said.answer, captured_at=captured_at))))
    assert entry.answer.label == said.answer.label
    assert abs(microseconds(entry.answer.captured_at) - microseconds(captured_at)) <= 14 * 3_600_000_000


def test_texts_without_a_utf8_form_are_kept_as_escapes() -> None:
    said = Answer(
        FRAME, datetime(2026, 1, 1, tzinfo=UTC), "card/\udcff.jpg", "fox", 0.5, Origin.DEVICE, True, Reason.CONFIDENT
    )
    assert "fox" in str(stored(FrameRecord(said)))
