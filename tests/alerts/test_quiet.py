"""Quiet hours are what a clock on the wall shows."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from edge_sdk.alerts.quiet import QuietHours
from edge_sdk.errors import ConfigError

BERLIN = ZoneInfo("Europe/Berlin")


def holds(text: str, moment: datetime, zone: ZoneInfo = BERLIN) -> bool:
    return QuietHours.parse(text).holds(moment.timestamp(), zone)


def at(*numbers: int, fold: int = 0) -> datetime:
    return datetime(*numbers, tzinfo=BERLIN, fold=fold)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("hour", "minute", "quiet"),
    [(21, 59, False), (22, 0, True), (23, 59, True), (0, 0, True), (6, 29, True), (6, 30, False), (12, 0, False)],
)
def test_they_go_through_midnight(hour: int, minute: int, quiet: bool) -> None:
    assert holds("22:00-06:30", at(2027, 1, 15, hour, minute)) is quiet


def test_within_a_day_and_several() -> None:
    assert holds("12:00-13:00, 22:00-06:00", at(2027, 1, 15, 12, 30))
    assert holds("12:00-13:00, 22:00-06:00", at(2027, 1, 15, 23, 30))
    assert not holds("12:00-13:00, 22:00-06:00", at(2027, 1, 15, 13, 0))
    assert holds("20:00-24:00", at(2027, 1, 15, 23, 59))
    assert not holds("20:00-24:00", at(2027, 1, 15, 0, 0))


def test_when_clocks_go_forward_the_skipped_hour_is_no_time() -> None:
    # 28 March 2027: after 01:59:59 CET comes 03:00:00 CEST.
    before, after = datetime(2027, 3, 28, 0, 59, 59, tzinfo=UTC), datetime(2027, 3, 28, 1, 0, tzinfo=UTC)
    assert (holds("02:30-06:00", before), holds("02:30-06:00", after)) == (False, True)
    assert (holds("01:00-02:30", before), holds("01:00-02:30", after)) == (True, False)
    assert holds("22:00-06:30", datetime(2027, 3, 28, 4, 29, tzinfo=UTC))
    assert not holds("22:00-06:30", datetime(2027, 3, 28, 4, 30, tzinfo=UTC))  # 06:30 CEST: an hour earlier than usual


def test_when_clocks_go_back_the_repeated_hour_is_quiet_both_times() -> None:
    # 31 October 2027: after 02:59:59 CEST comes 02:00:00 CET.
    for hour in (0, 1):
        assert holds("02:15-02:45", datetime(2027, 10, 31, hour, 30, tzinfo=UTC))
        assert not holds("02:15-02:45", datetime(2027, 10, 31, hour, 50, tzinfo=UTC))
    assert holds("22:00-06:30", at(2027, 10, 31, 6, 29))
    assert not holds("22:00-06:30", at(2027, 10, 31, 6, 30))


def test_without_a_zone_it_is_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    moment = datetime(2027, 1, 15, 22, 30, tzinfo=UTC).timestamp()
    try:
        monkeypatch.setenv("TZ", "UTC")
        time.tzset()
        assert QuietHours.parse("22:00-23:00").holds(moment)
        monkeypatch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        assert not QuietHours.parse("22:00-23:00").holds(moment)
        assert QuietHours.parse("23:00-00:00").holds(moment)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_no_hours_are_never_quiet() -> None:
    assert not QuietHours().holds(0.0)


@pytest.mark.parametrize(
    "text", ["", "22-6", "22:00", "25:00-06:00", "22:00-06:60", "10:00-10:00", "22:00-06:00,", "x"]
)
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"expected quiet hours such as \"22:00-06:30\""):
        QuietHours.parse(text)
