"""Times and texts as cells."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.formats.text import iso_time
from edge_sdk.terminal.cell import guarded


@given(
    st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)),
    st.timedeltas(min_value=timedelta(hours=-23), max_value=timedelta(hours=23)),
)
def test_times_come_back_to_the_second(naive: datetime, offset: timedelta) -> None:
    moment = naive.replace(tzinfo=timezone(offset))
    text = iso_time(moment)
    assert abs(datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z") - moment) < timedelta(seconds=1)
    assert text[-6] in "+-"


def test_an_offset_stays() -> None:
    moment = datetime(2026, 6, 1, 12, 0, 0, 250_000, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert iso_time(moment) == "2026-06-01T12:00:00+05:30"
    assert iso_time(moment, timespec="milliseconds") == "2026-06-01T12:00:00.250+05:30"
    odd = moment.replace(tzinfo=timezone(timedelta(seconds=1172)))
    assert iso_time(odd) == odd.astimezone(UTC).isoformat(timespec="seconds")


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-cmd", "@SUM(A1)", "\t=1", "\r=1", "-", "-1+1"])
def test_what_a_spreadsheet_would_run_is_guarded(text: str) -> None:
    assert guarded(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "fox", "-0.25", "+3", "a=b", "'x"])
def test_all_else_is_as_it_was(text: str) -> None:
    assert guarded(text) == text
