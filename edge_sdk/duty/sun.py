"""When the sun crosses a height, by place and date.

The equations are those of NOAA's solar calculator (after Meeus, "Astronomical Algorithms", 2nd edition, chapters 25 and
28), iterated once at the event itself. Against the package `astral` they differ by less than a minute between the polar
circles; refraction of real air differs by more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum

_J2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)


class SunEvent(Enum):
    """A moment of the day: its name, the sun's height in degrees, and whether it is in the morning."""

    DAWN = ("dawn", -6.0, True)
    SUNRISE = ("sunrise", -0.833, True)
    SUNSET = ("sunset", -0.833, False)
    DUSK = ("dusk", -6.0, False)

    @property
    def is_morning(self) -> bool:
        """Whether it lies before noon."""
        return self.value[2]

    @property
    def height_deg(self) -> float:
        """The sun's height at that moment, degrees; -0.833 for the usual refraction and the sun's disk."""
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Sun:
    """The sun over a place.

    Attributes:
        latitude: degrees north.
        longitude: degrees east.
    """

    latitude: float
    longitude: float

    def noon(self, day: date) -> datetime:
        """When the sun is highest on a day of the place's own (solar) date, UTC."""
        mean = datetime.combine(day, time(12), UTC) - timedelta(minutes=4 * self.longitude)
        return mean - timedelta(minutes=_ahead_min(mean))

    def at(self, event: SunEvent, day: date) -> datetime:
        """When an event happens on a day of the place's own (solar) date, UTC.

        Where the sun stays below the height all day, noon: a day without length. Where it stays above it, the midnight
        before (morning) or behind (evening): a night without length.
        """
        noon = self.noon(day)
        at = noon
        for _ in range(3):  # from noon to the event itself
            angle = self._hour_angle_deg(event.height_deg, at)
            if angle is None:
                return noon
            if angle >= 180:
                # The next day's noon is not 24 h away to the second: both nights end at the same moment.
                other = self.noon(day + timedelta(days=-1 if event.is_morning else 1))
                return min(noon, other) + abs(noon - other) / 2
            at = noon + timedelta(minutes=(-4 if event.is_morning else 4) * angle)
        return at

    def _hour_angle_deg(self, height_deg: float, at: datetime) -> float | None:
        """Degrees that the earth turns between noon and the event; None: it stays below; 180: above, all day."""
        latitude, declination = math.radians(self.latitude), _declination_rad(at)
        above = math.sin(math.radians(height_deg)) - math.sin(latitude) * math.sin(declination)
        across = math.cos(latitude) * math.cos(declination)
        if above >= across:
            return None
        return 180.0 if above <= -across else math.degrees(math.acos(above / across))


def _centuries(at: datetime) -> float:
    return (at - _J2000).total_seconds() / 86_400 / 36_525


def _orbit(at: datetime) -> tuple[float, float, float, float]:
    """Mean longitude, mean anomaly (both radians), eccentricity, and the equation of the centre (degrees)."""
    t = _centuries(at)
    longitude = math.radians((280.46646 + t * (36_000.76983 + t * 0.0003032)) % 360)
    anomaly = math.radians(357.52911 + t * (35_999.05029 - 0.0001537 * t))
    centre = (
        math.sin(anomaly) * (1.914602 - t * (0.004817 + 0.000014 * t))
        + math.sin(2 * anomaly) * (0.019993 - 0.000101 * t)
        + math.sin(3 * anomaly) * 0.000289
    )
    return longitude, anomaly, 0.016708634 - t * (0.000042037 + 0.0000001267 * t), centre


def _tilt_rad(at: datetime) -> float:
    """Of the earth's axis, with the correction of chapter 25."""
    t = _centuries(at)
    mean = 23 + (26 + (21.448 - t * (46.815 + t * (0.00059 - t * 0.001813))) / 60) / 60
    return math.radians(mean + 0.00256 * math.cos(math.radians(125.04 - 1934.136 * t)))


def _declination_rad(at: datetime) -> float:
    longitude, _, _, centre = _orbit(at)
    node = math.radians(125.04 - 1934.136 * _centuries(at))
    apparent = longitude + math.radians(centre - 0.00569 - 0.00478 * math.sin(node))
    return math.asin(math.sin(_tilt_rad(at)) * math.sin(apparent))


def _ahead_min(at: datetime) -> float:
    """The equation of time: minutes that a sundial is ahead of the mean sun."""
    longitude, anomaly, eccentricity, _ = _orbit(at)
    y = math.tan(_tilt_rad(at) / 2) ** 2
    turn = (
        y * math.sin(2 * longitude)
        - 2 * eccentricity * math.sin(anomaly)
        + 4 * eccentricity * y * math.sin(anomaly) * math.cos(2 * longitude)
        - 0.5 * y * y * math.sin(4 * longitude)
        - 1.25 * eccentricity * eccentricity * math.sin(2 * anomaly)
    )
    return 4 * math.degrees(turn)
