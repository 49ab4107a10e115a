"""When a device looks: hours of the day, fixed or by the sun."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Self

from edge_sdk.duty.sun import Sun, SunEvent
from edge_sdk.errors import ConfigError
from edge_sdk.model.priors import Place

FORM = 'times such as "sunset-30min to sunrise+1h", "06:00 to 09:30, 17:00 to 20:00" or "always"'
_EVENTS = {event.value[0]: event for event in SunEvent}
_MOMENT = re.compile(rf"(?:(\d\d?):(\d\d)|({'|'.join(_EVENTS)}))\s*(?:([+-])\s*(\d{{1,4}})\s*(min|h))?", re.ASCII)
_LONGEST_OFFSET = timedelta(hours=12)
_AGAIN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment of each day.

    Attributes:
        at: a time of the zone's clock, or an event of the sun.
        offset: added to it.
    """

    at: time | SunEvent
    offset: timedelta = timedelta(0)

    def on(self, day: date, sun: Sun | None, zone: tzinfo | None) -> datetime:
        """The moment of a day, UTC."""
        if isinstance(self.at, time):
            local = datetime.combine(day, self.at)
            return (local.astimezone() if zone is None else local.replace(tzinfo=zone)).astimezone(UTC) + self.offset
        assert sun is not None  # checked by Schedule
        return sun.at(self.at, day) + self.offset


@dataclass(frozen=True, slots=True)
class Schedule:
    """Stretches of each day; without any, always.

    Attributes:
        windows: begin and end of each.
        place: where the sun is looked at; needed where a window names it.
        zone: of fixed times; None: this machine's.

    Raises:
        ConfigError: a window names the sun, and there is no place.
    """

    windows: tuple[tuple[Moment, Moment], ...] = ()
    place: Place | None = None
    zone: tzinfo | None = None

    def __post_init__(self) -> None:
        by_sun = any(isinstance(moment.at, SunEvent) for window in self.windows for moment in window)
        if by_sun and self.place is None:
            raise ConfigError(
                "expected a place beside a schedule by the sun: Place(latitude, longitude), or deployment.place in the "
                "config file, in degrees; got none"
            )

    @classmethod
    def parse(cls, text: str, place: Place | None = None, zone: tzinfo | None = None) -> Self:
        """Read a schedule from words.

        Args:
            text: "always"; or windows, separated by commas, each "BEGIN to END", where a moment is a time such as 18:30
                or dawn, sunrise, sunset or dusk, the sun's with an offset such as -30min or +1h. Dawn and dusk are the
                civil ones (6 degrees below the horizon). An end before its begin is the next day's.
            place: where the camera stands.
            zone: of times such as 18:30; None: this machine's.

        Raises:
            ConfigError: the text is no such thing, or names the sun without a place.
        """
        if text.strip().lower() == "always":
            return cls((), place, zone)
        windows = []
        for part in text.split(","):
            ends = [_moment(end) for end in re.split(r"\s+to\s+", part.strip().lower())]
            if len(ends) != 2:
                raise ConfigError(f"expected {FORM}; got {text!r}")
            begin, end = ends
            if begin is None or end is None:
                raise ConfigError(f"expected {FORM}; got {text!r}")
            windows.append((begin, end))
        return cls(tuple(windows), place, zone)

    def is_on(self, now: datetime) -> bool:
        """Whether it is time to look.

        Args:
            now: with a time zone.
        """
        return not self.windows or any(begin <= now < end for begin, end in self._around(now))

    def holds_until(self, now: datetime) -> datetime:
        """A moment until which `is_on` says the same: the next change, or a day later where there is none by then."""
        on, latest = self.is_on(now), now + _AGAIN
        edges = sorted({edge for window in self._around(now) for edge in window if now < edge < latest})
        return next((edge for edge in edges if self.is_on(edge) != on), latest)

    def _around(self, now: datetime) -> list[tuple[datetime, datetime]]:
        """The stretches, without empty ones, that begin from two days before to two days after."""
        sun = None if self.place is None else Sun(self.place.latitude, self.place.longitude)
        today = now.astimezone(UTC).date()
        found = []
        for begin, end in self.windows:
            for shift in range(-3, 3):
                day = today + timedelta(days=shift)
                first = begin.on(day, sun, self.zone)
                last = end.on(day + timedelta(days=_days_later(begin, end)), sun, self.zone)
                if last <= first and not (isinstance(begin.at, SunEvent) and isinstance(end.at, SunEvent)):
                    last = end.on(day + timedelta(days=1), sun, self.zone)
                if first < last:
                    found.append((first, last))
        return found


def _days_later(begin: Moment, end: Moment) -> int:
    """Days from a window's begin to its end, where both are the sun's: a night ends on the next day."""
    if not (isinstance(begin.at, SunEvent) and isinstance(end.at, SunEvent)):
        return 0
    if begin.at.is_morning != end.at.is_morning:
        return int(end.at.is_morning)
    order = list(SunEvent)
    later = (order.index(end.at), end.offset) > (order.index(begin.at), begin.offset)
    return 0 if later else 1


def _moment(text: str) -> Moment | None:
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    hour, minute, event, sign, number, unit = match.groups()
    if event is None:
        if sign is not None or int(hour) > 23 or int(minute) > 59:
            return None
        return Moment(time(int(hour), int(minute)))
    offset = timedelta(minutes=int(number or 0) * (60 if unit == "h" else 1))
    return Moment(_EVENTS[event], -offset if sign == "-" else offset) if offset <= _LONGEST_OFFSET else None
