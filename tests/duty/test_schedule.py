from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge_sdk.duty import Schedule
from edge_sdk.errors import ConfigError
from edge_sdk.model.priors import Place

NOWS = st.datetimes(datetime(2024, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))
TEXTS = st.sampled_from(
    [
        "sunset to sunrise",
        "dusk+1h to dawn-30min, 12:00 to 13:30",
        "22:00 to 06:00",
        "sunrise-30min to 09:00",
        "16:00 to sunset+2h",
        "sunrise to sunrise+2h, sunset-2h to sunset",
    ]
)
BERLIN = ZoneInfo("Europe/Berlin")


def test_fixed_hours_are_of_the_zone_and_may_go_over_midnight() -> None:
    schedule = Schedule.parse("22:00 to 06:00", zone=BERLIN)
    expected = {"19:59": False, "20:00": True, "23:30": True, "03:59": True, "04:00": False, "12:00": False}
    for clock, is_on in expected.items():  # UTC; Berlin is two hours ahead in summer
        assert schedule.is_on(datetime.fromisoformat(f"2026-07-01 {clock}+00:00")) is is_on
    assert schedule.holds_until(datetime(2026, 7, 1, 12, tzinfo=UTC)) == datetime(2026, 7, 1, 20, tzinfo=UTC)


@pytest.mark.parametrize(("day", "hours"), [("2026-03-28", 7), ("2026-10-24", 9), ("2026-07-01", 8)])
def test_a_night_in_which_the_clock_is_changed(day: str, hours: int) -> None:
    schedule = Schedule.parse("22:00 to 06:00", zone=BERLIN)
    begin = datetime.fromisoformat(f"{day} 22:00").replace(tzinfo=BERLIN).astimezone(UTC)
    assert schedule.is_on(begin)
    assert schedule.holds_until(begin) - begin == timedelta(hours=hours)


@given(NOWS, st.floats(-90, 90), st.floats(-180, 180))
@example(datetime(2026, 6, 21, tzinfo=UTC), 75.0, 20.0)
@example(datetime(2026, 12, 21, 12, tzinfo=UTC), 75.0, 20.0)
def test_night_is_where_the_sun_is_down(now: datetime, latitude: float, longitude: float) -> None:
    astral = pytest.importorskip("astral", reason='needs astral, of the extra "test"')
    from astral.sun import elevation

    height = elevation(astral.Observer(latitude, longitude), now, with_refraction=False)
    place = Place(latitude, longitude)
    # At the poles the sun moves along the horizon for days: what an hour changes is within the formula's error.
    if abs(height + 0.833) > (0.35 if abs(latitude) < 60 else 1.0):
        assert Schedule.parse("sunset to sunrise", place).is_on(now) is (height < -0.833)
        assert Schedule.parse("sunrise to sunset", place).is_on(now) is (height > -0.833)


@given(TEXTS, NOWS, st.floats(-66, 66), st.floats(-180, 180))
def test_the_answer_holds_as_long_as_it_says(text: str, now: datetime, latitude: float, longitude: float) -> None:
    schedule = Schedule.parse(text, Place(latitude, longitude), BERLIN)
    until, is_on = schedule.holds_until(now), schedule.is_on(now)
    assert now < until <= now + timedelta(days=1)
    for part in (0.1, 0.5, 0.9, 0.999):
        assert schedule.is_on(now + (until - now) * part) is is_on
    if until < now + timedelta(days=1):
        assert schedule.is_on(until) is not is_on


def test_always() -> None:
    assert Schedule().is_on(datetime.now(UTC)) and Schedule.parse(" Always ").is_on(datetime.now(UTC))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "night",
        "22:00",
        "25:00 to 06:00",
        "22:00 to",
        "22:00+1h to 06:00",
        "sunset-13h to sunrise",
        "a to b",
        "1 to 2,",
    ],
)
def test_what_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"expected times such as .*; got"):
        Schedule.parse(text, Place(0, 0))


def test_the_sun_needs_a_place() -> None:
    with pytest.raises(ConfigError, match="expected a place beside a schedule by the sun"):
        Schedule.parse("sunset to sunrise")
