from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge_sdk.duty.sun import Sun, SunEvent

astral = pytest.importorskip("astral", reason='needs astral, of the extra "test"')
from astral.sun import dawn, dusk, noon, sunrise, sunset  # noqa: E402

DAYS = st.dates(date(2024, 1, 1), date(2045, 12, 31))
ASTRAL: dict[SunEvent, Callable[..., datetime]] = {
    SunEvent.DAWN: dawn,
    SunEvent.SUNRISE: sunrise,
    SunEvent.SUNSET: sunset,
    SunEvent.DUSK: dusk,
}


def near(ours: datetime, theirs: datetime, within_s: float) -> bool:
    """Whether they are the same moment of the day; astral counts days of UTC."""
    apart_s = (ours - theirs).total_seconds() % 86_400
    return min(apart_s, 86_400 - apart_s) <= within_s


def by_astral(event: SunEvent, observer: Any, day: date) -> datetime:
    """Astral's moment; where a day of UTC has none, since its events come around midnight, that of a day beside it."""
    for days in (0, 1):
        with suppress(ValueError):
            return ASTRAL[event](observer, date=day + timedelta(days=days), tzinfo=UTC)
    return ASTRAL[event](observer, date=day - timedelta(days=1), tzinfo=UTC)


@example(date(2035, 4, 1), 54.5, -80.875, SunEvent.SUNSET)
@given(DAYS, st.floats(-55, 55), st.floats(-179, 179), st.sampled_from(SunEvent))
def test_events_are_as_astral_has_them(day: date, latitude: float, longitude: float, event: SunEvent) -> None:
    ours = Sun(latitude, longitude).at(event, day)
    theirs = by_astral(event, astral.Observer(latitude, longitude), ours.date())
    assert near(ours, theirs, 180)  # the day before or after may be meant
    assert near(Sun(latitude, longitude).noon(day), noon(astral.Observer(latitude, longitude), date=day), 120)


@pytest.mark.parametrize(
    ("place", "day", "event", "expected"),
    [  # as timeanddate.com and the almanac have them, to the minute
        ((52.52, 13.405), date(2026, 6, 21), SunEvent.SUNRISE, "2026-06-21 02:43"),
        ((52.52, 13.405), date(2026, 6, 21), SunEvent.SUNSET, "2026-06-21 19:33"),
        ((-33.87, 151.21), date(2026, 1, 1), SunEvent.SUNSET, "2026-01-01 09:09"),
    ],
)
def test_known_moments(place: tuple[float, float], day: date, event: SunEvent, expected: str) -> None:
    at = Sun(*place).at(event, day)
    assert abs(at - datetime.fromisoformat(expected + "+00:00")) <= timedelta(minutes=1.5)


def test_where_the_sun_does_not_set_night_has_no_length_and_where_it_does_not_rise_day_has_none() -> None:
    north = Sun(70.0, 25.0)
    summer, winter = date(2026, 6, 21), date(2026, 12, 21)
    assert north.at(SunEvent.SUNSET, summer) == north.at(SunEvent.SUNRISE, summer + timedelta(days=1))
    assert north.at(SunEvent.SUNRISE, winter) == north.at(SunEvent.SUNSET, winter) == north.noon(winter)
    assert north.at(SunEvent.DAWN, winter) < north.noon(winter)  # twilight there is


@given(DAYS, st.floats(-90, 90), st.floats(-180, 180))
def test_a_day_is_in_order_everywhere(day: date, latitude: float, longitude: float) -> None:
    sun = Sun(latitude, longitude)
    events = [sun.at(event, day) for event in SunEvent]
    assert events[1] <= sun.noon(day) <= events[2]
    assert events[0] <= events[1] + timedelta(minutes=1) and events[2] <= events[3] + timedelta(minutes=1)
    assert sun.at(SunEvent.SUNRISE, day + timedelta(days=1)) >= events[2] - timedelta(minutes=1)
