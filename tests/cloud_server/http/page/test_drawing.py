from __future__ import annotations

import re
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from cloud_server.http.page.drawing import DAY_MS, Dot, curve, fleet_map

NAMES = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_categories=["Cc", "Cn"]), min_size=1)
POINTS = st.lists(st.tuples(st.integers(0, 30 * DAY_MS), st.floats(-1e6, 1e12, allow_nan=False)), min_size=1)
PLACES = st.lists(
    st.tuples(NAMES, st.floats(-85, 85), st.floats(-179, 179)), min_size=1, max_size=12, unique_by=lambda one: one[0]
)


@given(POINTS, st.sampled_from(["%", "B", "", "°C"]))
def test_any_values_make_a_curve_within_its_picture(points: list[tuple[int, float]], unit: str) -> None:
    points.sort()
    drawn = ElementTree.fromstring(str(curve(points, 0, 30 * DAY_MS, "a <title>", unit)))
    assert drawn.get("aria-label", "").startswith("a <title>: ")
    path = next(one.get("d", "") for one in drawn if one.get("class") == "curve")
    places = [tuple(map(float, place.split())) for place in re.split("[ML]", path)[1:]]
    assert len(places) == len(points)
    assert all(0 <= x <= 480 and -1 <= y <= 171 for x, y in places)


@given(st.integers(60, 400 * 1440))
def test_every_span_has_dates_or_times(minutes: int) -> None:
    since = 1_795_000_000_000
    drawn = ElementTree.fromstring(str(curve([(since, 1.0)], since, since + minutes * 60_000, "a")))
    dates = [one.text for one in drawn.iter("text") if one.get("text-anchor") != "end" or ":" in (one.text or "")]
    assert 1 <= len(dates) <= 9


@given(PLACES)
def test_every_device_is_on_the_map(found: list[tuple[str, float, float]]) -> None:
    dots = [Dot(name, north, east, "fresh") for name, north, east in found]
    drawn = ElementTree.fromstring(str(fleet_map(dots, {dot.name: "/devices/x" for dot in dots})))
    circles = list(drawn.iter("circle"))
    assert len(circles) == len(dots)
    for circle in circles:
        assert 0 <= float(circle.get("cx", "")) <= 720
        assert 0 <= float(circle.get("cy", "")) <= 360
    assert {title.text for title in drawn.iter("title")} == {f"{dot.name[:24]}: fresh" for dot in dots}


def test_names_lie_on_no_dot_and_on_no_other_name_and_those_in_trouble_have_theirs_first() -> None:
    states = ("fresh", "silent", "late")
    dots = [
        Dot(f"camera-{n:03}", 46 + n * 37 % 100 / 100, 10 + n * 61 % 97 / 97, states[n % 25 % 3]) for n in range(200)
    ]
    drawn = ElementTree.fromstring(str(fleet_map(dots, {dot.name: f"/devices/{dot.name}" for dot in dots})))
    links = [one for one in drawn if one.tag == "a"]
    assert {one.get("href") for one in links} == {f"/devices/{dot.name}" for dot in dots}
    circles = [(float(one.get("cx", "")), float(one.get("cy", ""))) for one in drawn.iter("circle")]
    boxes = []
    for text in (text for link in links for text in link if text.tag == "text"):
        begin, line, wide = float(text.get("x", "")), float(text.get("y", "")), 9 * len(text.text or "")
        boxes.append((begin - (wide if text.get("text-anchor") == "end" else 0), line, wide))
    assert 10 < len(boxes) < 200
    for left, line, wide in boxes:
        assert not any(left < x + 8 and x - 8 < left + wide and line - 12 < y + 8 and y - 8 < line for x, y in circles)
        others = [one for one in boxes if one != (left, line, wide)]
        assert not any(left < x + w and x < left + wide and abs(line - y) < 15 for x, y, w in others)
    few = fleet_map([Dot(f"cam-{n}", 46.5, 10.0, "fresh") for n in range(3)], {f"cam-{n}": "/" for n in range(3)})
    assert str(few).count('class="name') == 3
