"""Pictures of numbers as SVG: a curve over time, and a map of the devices. Colours are classes of the style sheet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from unicodedata import east_asian_width

from markupsafe import Markup, escape

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 480, 170, 52, 24, 10
_STEPS = (1, 2, 5)
DAY_MS, HOUR_MS = 86_400_000, 3_600_000


@dataclass(frozen=True, slots=True)
class Dot:
    """A device on the map.

    Attributes:
        name: its name.
        latitude: degrees north.
        longitude: degrees east.
        state: "fresh", "late" or "silent".
    """

    name: str
    latitude: float
    longitude: float
    state: str


def curve(points: Sequence[tuple[int, float]], since_ms: int, until_ms: int, title: str, unit: str = "") -> Markup:
    """A line of values over time; a gap of more than three times the usual pause is left open.

    Args:
        points: milliseconds since 1970 and values, by time.
        since_ms: left end.
        until_ms: right end.
        title: what it shows, for those who hear the page.
        unit: behind the numbers of the scale: "%", "B" or another.
    """
    values = [value for _, value in points]
    low, high, step = _scale(min(values), max(values), floor=0.0 if unit in ("%", "B", "") else None)

    def x(at_ms: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - 8) * (at_ms - since_ms) / max(1, until_ms - since_ms)

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _BOTTOM - _TOP) * (value - low) / (high - low)

    parts = []
    for number in range(round((high - low) / step) + 1):
        value = low + number * step
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - 8}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        said = str(escape(_number(value, unit)))
        parts.append(f'<text x="{_LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{said}</text>')
    for at_ms, text in _days(since_ms, until_ms):
        anchor = "start" if x(at_ms) < _LEFT + 20 else "end" if x(at_ms) > _WIDTH - 30 else "middle"
        parts.append(f'<text x="{x(at_ms):.1f}" y="{_HEIGHT - 6}" text-anchor="{anchor}">{text}</text>')
    pauses = sorted(after[0] - before[0] for before, after in pairwise(points))
    gap = 3 * pauses[len(pauses) // 2] if pauses else 0
    path, before_ms = "", -math.inf
    for at_ms, value in points:
        path += f"{'M' if at_ms - before_ms > gap else 'L'}{x(at_ms):.1f} {y(value):.1f}"
        before_ms = at_ms
    parts.append(f'<path class="curve" d="{path}"/>')
    last_ms, last = points[-1]
    parts.append(f'<circle class="last" cx="{x(last_ms):.1f}" cy="{y(last):.1f}" r="3.5"/>')
    told = escape(f"{title}: {_number(last, unit)} at last, between {_number(min(values), unit)} and "
                  f"{_number(max(values), unit)}")  # fmt: skip
    size = f'viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    return Markup(f'<svg class="chart" {size} role="img" aria-label="{told}">{"".join(parts)}</svg>')


def fleet_map(dots: Sequence[Dot], links: Mapping[str, str]) -> Markup:
    """The devices by their coordinates, north up, with a grid in degrees and a scale in kilometres.

    Args:
        dots: at least one.
        links: by name, where a click leads to.
    """
    width, height, margin = 720.0, 360.0, 84.0
    north, south = max(dot.latitude for dot in dots), min(dot.latitude for dot in dots)
    east, west = max(dot.longitude for dot in dots), min(dot.longitude for dot in dots)
    middle = (north + south) / 2, (east + west) / 2
    shrink = max(0.05, math.cos(math.radians(middle[0])))
    least = 0.01
    across = max((east - west) * shrink / (width - 2 * margin), (north - south) / (height - 2 * margin), least / height)

    def x(longitude: float) -> float:
        return width / 2 + (longitude - middle[1]) * shrink / across

    def y(latitude: float) -> float:
        return height / 2 - (latitude - middle[0]) / across

    parts = [f'<rect class="land" width="{width:.0f}" height="{height:.0f}"/>']
    step = _nice(across * height / 4)
    for number in range(math.ceil((middle[0] - across * height / 2) / step), 10_000):
        degrees = number * step
        if y(degrees) < 0:
            break
        parts.append(f'<line class="grid" x1="0" x2="{width:.0f}" y1="{y(degrees):.1f}" y2="{y(degrees):.1f}"/>')
        if y(degrees) < height - 40:
            parts.append(f'<text class="degrees" x="8" y="{y(degrees) - 4:.1f}">{_degrees(degrees, step, "NS")}</text>')
    step_east = _nice(across * width / shrink / 5)
    for number in range(math.ceil((middle[1] - across * width / 2 / shrink) / step_east), 100_000):
        degrees = number * step_east
        if x(degrees) > width:
            break
        parts.append(f'<line class="grid" y1="0" y2="{height:.0f}" x1="{x(degrees):.1f}" x2="{x(degrees):.1f}"/>')
        if 60 < x(degrees) < width - 50:
            text = _degrees(degrees, step_east, "EW")
            parts.append(f'<text class="degrees" x="{x(degrees) + 4:.1f}" y="16">{text}</text>')
    order = sorted(dots, key=lambda one: (one.state == "fresh", -one.latitude, one.name))  # those in trouble have names
    places = {dot.name: (x(dot.longitude), y(dot.latitude)) for dot in order}
    names = _names_beside(places, width, height)
    roomy = _with_room(names, places, width, height)
    for dot in reversed(order):
        (at, up), name, said = places[dot.name], str(escape(dot.name[:24])), ""
        if found := names.get(dot.name):
            anchor, begin, line = found
            kind = "name" if dot.name in roomy else "name roomy"
            said = f'<text class="{kind}" x="{begin:.1f}" y="{line:.1f}" text-anchor="{anchor}">{name}</text>'
        parts.append(
            f'<a href="{escape(links[dot.name])}"><title>{name}: {dot.state}</title>'
            f'<circle class="dot {dot.state}" cx="{at:.1f}" cy="{up:.1f}" r="8"/>{said}</a>'
        )
    kilometres = _nice(across * 110.574 * 120)
    long = kilometres / 110.574 / across
    parts.append(
        f'<path class="scale" d="M16 {height - 24:.0f}v6h{long:.1f}v-6"/>'
        f'<text class="degrees" x="{16 + long / 2:.1f}" y="{height - 26:.0f}" text-anchor="middle">'
        f"{_distance(kilometres)}</text>"
    )
    size = f'viewBox="0 0 {width:.0f} {height:.0f}"'
    told = f"Map of {len(dots)} devices, north up"
    return Markup(f'<svg class="map" {size} role="group" aria-label="{told}">{"".join(parts)}</svg>')


_Box = tuple[float, float, float, float]
_Name = tuple[str, float, float]
_LARGER = 26 / 15
"""Names on phones, which show the map smaller, by those on screens (`page.css`)."""


def _names_beside(places: Mapping[str, tuple[float, float]], width: float, height: float) -> dict[str, _Name]:
    """Where the names of dots stand: anchor, x and y; a name that would lie on a dot or on another is left out."""
    found, taken = dict[str, _Name](), [(at - 9, at + 9, up - 9, up + 9) for at, up in places.values()]
    for name, (at, up) in places.items():
        for line in (up + 5, up + 21, up - 11, up + 37, up - 27):
            for place in (("start", at + 12, line), ("end", at - 12, line)):
                box = _box(name, place)
                if name not in found and _is_inside(box, width, height) and not any(_meet(box, one) for one in taken):
                    found[name] = place
                    taken.append(box)
    return found


def _with_room(
    names: Mapping[str, _Name], places: Mapping[str, tuple[float, float]], width: float, height: float
) -> set[str]:
    """Those of the names that lie on no dot and on no other name where names and dots are larger."""
    found, taken = set[str](), [(at - 12, at + 12, up - 12, up + 12) for at, up in places.values()]
    for name, place in names.items():
        box = _box(name, place, _LARGER)
        if _is_inside(box, width, height) and not any(_meet(box, one) for one in taken):
            found.add(name)
            taken.append(box)
    return found


def _box(name: str, place: _Name, larger: float = 1.0) -> _Box:
    """Left, right, upper and lower edge of a name."""
    anchor, begin, line = place
    wide = larger * sum(15.0 if east_asian_width(letter) in "WF" else 9.0 for letter in name[:24])
    left = begin if anchor == "start" else begin - wide
    return left, left + wide, line - 12 * larger, line + 3 * larger


def _is_inside(box: _Box, width: float, height: float) -> bool:
    return box[0] >= 2 and box[1] <= width - 2 and box[2] >= 2 and box[3] <= height - 1


def _meet(one: _Box, other: _Box) -> bool:
    """Whether two boxes overlap."""
    return one[0] < other[1] and other[0] < one[1] and one[2] < other[3] and other[2] < one[3]


def _scale(low: float, high: float, floor: float | None) -> tuple[float, float, float]:
    """Ends and step of an axis that holds both values."""
    if floor is not None and low >= floor:
        low = floor
    if high - low < 1e-9:
        high = low + max(1.0, abs(low) / 10)
    step = _nice((high - low) / 3)
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step, step


def _nice(value: float) -> float:
    """The next of 1, 2, 5, 10, ... times a power of ten that is not below `value`."""
    power: float = 10.0 ** math.floor(math.log10(value))
    return next((step * power for step in _STEPS if step * power >= value * 0.999), 10 * power)


def _number(value: float, unit: str) -> str:
    if unit == "B":
        for size, prefix in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
            if abs(value) >= size:
                return f"{value / size:.3g} {prefix}"
        return f"{value:.0f} B"
    text = f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return f"{text}{' ' if unit and unit != '%' else ''}{unit}"


def _degrees(value: float, step: float, names: str) -> str:
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{abs(value):.{digits}f}° {names[value < 0]}"


def _distance(kilometres: float) -> str:
    return f"{kilometres * 1000:.0f} m" if kilometres < 1 else f"{kilometres:,.0f} km"


def _days(since_ms: int, until_ms: int) -> list[tuple[int, str]]:
    """Up to five dates (UTC) between, or up to eight times of a shorter span."""
    span = until_ms - since_ms
    every = next((days for days in (1, 2, 7, 14, 30, 90, 365) if span / (days * DAY_MS) <= 5), 1000) * DAY_MS
    if span <= 2 * DAY_MS:
        minutes = next((one for one in (10, 30, 60, 120, 180) if span <= 6 * one * HOUR_MS // 60), 360)
        every, form = minutes * HOUR_MS // 60, "%H:%M"
    else:
        form = "%-d %b"
    first = -(-since_ms // every) * every
    return [(at, f"{datetime.fromtimestamp(at / 1000, UTC):{form}}") for at in range(first, until_ms + 1, every)]
