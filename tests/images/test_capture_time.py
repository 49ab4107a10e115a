from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.errors import ConfigError
from edge_sdk.images.capture_time import (
    CaptureTime,
    capture_time,
    is_plausible,
    parse_date,
    parse_fraction,
    parse_offset,
    parse_zone,
)

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2024, 5, 1, 12)


@pytest.fixture(params=["named", "local"])
def berlin(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tzinfo | None]:
    """Berlin by its name, and as the zone of this machine."""
    if request.param == "named":
        yield BERLIN
        return
    with monkeypatch.context() as patched:
        patched.setitem(os.environ, "TZ", "Europe/Berlin")
        time.tzset()
        yield None
    time.tzset()


def read(text: str, zone: tzinfo | None) -> CaptureTime:
    parsed = parse_date(text)
    assert parsed is not None
    found = capture_time(parsed[0], zone)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "clock"),
    [
        ("2024:05:01 12:00:00", NOON),
        ("2024-05-01 12:00:00", NOON),
        ("2024/05/01 12:00:00", NOON),
        ("2024.05.01 12.00.00", NOON),
        ("2024-05-01T12:00:00", NOON),
        ("2024: 5: 1 12: 0: 0", NOON),
        ("2024:05:01 12:00", NOON),
        ("20240501_120000", NOON),
        ("2024:05:01 12:00:00.250", NOON.replace(microsecond=250_000)),
        ("2024:05:01 24:00:00", datetime(2024, 5, 2)),
        ("2024:12:31 23:59:60", datetime(2025, 1, 1)),
    ],
)
def test_dates_as_they_are_written(text: str, clock: datetime) -> None:
    assert parse_date(text) == (clock, None)


def test_a_date_with_its_offset() -> None:
    assert parse_date("2024-05-01T12:00:00Z") == (NOON, UTC)
    assert parse_date("2024:05:01 12:00:00+02:00") == (NOON, timezone(timedelta(hours=2)))


@pytest.mark.parametrize(
    "text",
    ["", "0000:00:00 00:00:00", "    :  :     :  :  ", "2024:02:30 00:00:00", "2024:05:01", "9999:12:31 24:00:00", "x"],
)
def test_texts_that_are_no_date(text: str) -> None:
    assert parse_date(text) is None


@given(st.text(max_size=30))
def test_any_text_is_a_date_or_none(text: str) -> None:
    parse_date(text)
    parse_offset(text)
    parse_fraction(text)


@pytest.mark.parametrize(
    ("text", "microseconds"), [("5", 500_000), ("123456789", 123_456), (".25", 250_000), ("-1", 0)]
)
def test_fractions(text: str, microseconds: int) -> None:
    assert parse_fraction(text) == microseconds


@pytest.mark.parametrize(
    ("text", "minutes"), [("-0330", -210), ("\u221205:00", -300), ("z", 0), ("UTC", 0), ("+14:00", 840)]
)
def test_offsets(text: str, minutes: int) -> None:
    assert parse_offset(text) == timezone(timedelta(minutes=minutes))


def test_zones_by_name_and_by_offset() -> None:
    assert parse_zone("Europe/Berlin") == BERLIN
    assert parse_zone("+01:00") == timezone(timedelta(hours=1))
    assert parse_zone("local") is None


@pytest.mark.parametrize("text", ["Europe/Bielefeld", "", "Europe", "../etc/passwd", "/etc/passwd", "\0", "+25:00"])
def test_zones_that_are_none(text: str) -> None:
    with pytest.raises(ConfigError, match="expected zone as a name such as Europe/Berlin"):
        parse_zone(text)


def test_the_hour_that_is_left_out_keeps_the_order(berlin: tzinfo | None) -> None:
    clocks = ("01:59:59.9", "02:00:00", "02:30:00", "02:30:01", "02:59:59", "03:00:00", "03:00:00.1")
    times = [read(f"2025:03:30 {clock}", berlin) for clock in clocks]
    moments = [one.at for one in times]
    assert moments == sorted(set(moments))
    assert [one.skipped for one in times] == [False, True, True, True, True, False, False]
    assert moments[-2] == datetime(2025, 3, 30, 1, tzinfo=UTC)


def test_the_hour_that_comes_twice_is_read_by_what_came_before(berlin: tzinfo | None) -> None:
    clocks = ("01:59:58", "02:59:59", "02:00:01", "02:00:03", "02:00:02", "02:00:05", "02:58:00", "03:00:00")
    moments: list[datetime] = []
    for clock in clocks:
        moments.append(read(f"2025:10:26 {clock}", berlin).after(moments[-1] if moments else None))
    # One name out of order by a second is no reason to leave the second reading.
    assert [f"{moment.astimezone(UTC):%H:%M:%S}" for moment in moments] == [
        *("23:59:58", "00:59:59", "01:00:01", "01:00:03", "01:00:02", "01:00:05", "01:58:00", "02:00:00")
    ]


def test_a_burst_in_the_first_of_two_hours_stays_there() -> None:
    before = read("2025:10:26 02:30:02", BERLIN).at
    assert read("2025:10:26 02:30:01", BERLIN).after(before) < before
    december = datetime(2025, 12, 1, tzinfo=UTC)
    assert read("2025:10:26 02:30:01", BERLIN).after(december) == read("2025:10:26 02:30:01", BERLIN).at


@given(
    clocks=st.lists(st.datetimes(min_value=datetime(1995, 1, 1), max_value=datetime(2037, 1, 1)), min_size=2),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "UTC"]),
)
def test_a_later_clock_is_never_an_earlier_moment(clocks: list[datetime], zone: str) -> None:
    moments = [capture_time(clock, ZoneInfo(zone)) for clock in sorted(clocks)]
    found = [moment.at for moment in moments if moment is not None]
    gaps = [later - earlier for earlier, later in pairwise(found)]
    assert all(gap > timedelta(milliseconds=-5) for gap in gaps)


@pytest.mark.parametrize("clock", [datetime.min, datetime.max])
def test_the_ends_of_the_calendar(clock: datetime) -> None:
    for zone in (None, BERLIN, timezone(timedelta(hours=14)), timezone(timedelta(hours=-14))):
        capture_time(clock, zone)


def test_what_can_be_a_capture_time() -> None:
    now = datetime(2026, 11, 26, tzinfo=UTC)
    assert is_plausible(datetime(2001, 1, 1, tzinfo=UTC), now)
    assert not is_plausible(datetime(1970, 1, 1, tzinfo=UTC), now)
    assert not is_plausible(datetime(2036, 2, 7, tzinfo=UTC), now)
