from __future__ import annotations

from typing import Any

import pytest
from page_parts import Fleet, signed_in

LOOKS = [
    {"viewport": {"width": width, "height": 844}, "color_scheme": scheme}
    for width in (390, 1280)
    for scheme in ("light", "dark")
]
CONTRAST = """() => {
  const parse = text => text.match(/[0-9.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = node => { for (; node; node = node.parentElement) {
    const colour = parse(getComputedStyle(node).backgroundColor);
    if (colour.length === 3 || colour[3] === 1) return colour; }
    return parse(getComputedStyle(document.body).backgroundColor); };
  return [...document.querySelectorAll("main *, header *")].filter(node => !node.closest("svg") &&
      [...node.childNodes].some(one => one.nodeType === 3 && one.textContent.trim()) && node.offsetParent)
    .map(node => { const both = [light(parse(getComputedStyle(node).color)), light(behind(node))];
      const [a, b] = both.sort((x, y) => y - x);
      return [(a + 0.05) / (b + 0.05), node.textContent.trim().slice(0, 40)]; })
    .filter(([ratio]) => ratio < 4.5);
}"""
UNNAMED = """() => [...document.querySelectorAll("input:not([type=hidden]), select, button, img, [role=img]")]
  .filter(node => !(node.labels?.length || node.textContent.trim() || node.getAttribute("aria-label") ||
    node.hasAttribute("alt"))).map(node => node.outerHTML)"""


@pytest.mark.parametrize("look", LOOKS, ids=["phone", "phone, dark", "screen", "screen, dark"])
def test_every_page_fits_is_legible_and_has_names(fleet: Fleet, browser: Any, look: dict[str, Any]) -> None:
    tab = signed_in(browser, fleet, "operate-er", **look)
    for path in ("/", "/devices/ridge", "/events", "/events?which=all", "/label", "/settings", "/tokens"):
        assert tab.goto(path).status == 200
        assert tab.evaluate("document.documentElement.scrollWidth") <= look["viewport"]["width"], path
        assert tab.evaluate(CONTRAST) == [], path
        assert tab.evaluate(UNNAMED) == [], path
        assert tab.title()
    assert tab.faults == []
    tab.context.close()


def test_devices_and_events_show_what_was_told(fleet: Fleet, browser: Any) -> None:
    tab = signed_in(browser, fleet, "look-er", reduced_motion="reduce")
    row = tab.get_by_role("row").filter(has_text="ridge")
    for text in ("90.0%", "1.5 MB of 5 MB/day", "81%", "48 °C", "sdk 0.1.0, trailcam 4", "of 1 audit"):
        assert text in row.inner_text()
    tab.get_by_role("link", name="ridge").first.click()
    assert tab.get_by_role("img", name="Battery").count() == 1
    tab.get_by_role("link", name="Events", exact=True).click()
    cards = tab.locator(".events li")
    assert cards.count() == 6
    differing = cards.filter(has_text="they differ").first
    assert [side.strip() for side in differing.locator(".sides b").all_inner_texts()] == ["deer", "fox"]
    assert differing.locator("rect.region").get_attribute("width") == "4"
    whole = cards.locator("img").first
    whole.scroll_into_view_if_needed()
    assert whole.evaluate("one => one.decode().then(() => one.naturalWidth)") == 64
    assert tab.faults == []
    tab.context.close()


def test_pictures_of_other_devices_and_ids_are_not_given(fleet: Fleet) -> None:
    with fleet.client("look-er") as client:
        first = fleet.frames[0]
        assert client.get(f"/pictures/{first}?device=ridge").headers["content-type"] == "image/png"
        for frame_id, device in ((first, "ford"), ("..%2Fanswers.jsonl", "ridge"), ("0" * 32, "ridge")):
            assert client.get(f"/pictures/{frame_id}?device={device}").status_code == 404
        assert client.get("/devices/none").status_code == 404
        assert client.get("/static/..%2Fpage.py").status_code == 404


def test_a_place_is_typed_and_drawn(fleet: Fleet) -> None:
    with fleet.client("operate-er") as client:
        given = {"device": "ridge", "latitude": "46,52", "longitude": "9.84", "group": "north", "note": "<b>key</b>"}
        assert fleet.post(client, "/devices/ridge", "/card", **given).status_code == 303
        assert 'class="map"' in client.get("/").text
        assert "&lt;b&gt;key&lt;/b&gt;" in client.get("/devices/ridge").text
        for latitude in ("north", "95", ""):
            wrong = fleet.post(client, "/devices/ridge", "/card", device="ridge", latitude=latitude, longitude="1")
            assert wrong.status_code == 422
