from __future__ import annotations

import asyncio
import html
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from page_parts import Fleet, signed_in
from report_parts import report_of
from sqlalchemy import Engine
from starlette.testclient import TestClient

from cloud_server.fleet.database.reports import SharedReports
from cloud_server.fleet.database.users import Role
from cloud_server.fleet.fleet import Fleet as Reported
from cloud_server.fleet.report_store import ReportStore
from cloud_server.fleet.tallies import Tallies
from cloud_server.http.page.access import Proxy
from cloud_server.http.page.page import PageParts
from cloud_server.http.page.routes import add_page

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
    for path in ("/", "/devices/ridge", "/events", "/events?which=all", "/label", "/settings", "/tokens", "/account"):
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
    for text in ("90.0%", "1.5 MB of 5 MB/day", "81%", "48 °C", "sdk 0.1.0", "trailcam 4", "% agree"):
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


def test_devices_that_are_expected_are_listed_until_they_report(fleet: Fleet) -> None:
    token = {"device": "barn-7"}
    with fleet.client("operate-er") as client:
        assert client.get("/devices/barn-7").status_code == 404
        assert fleet.post(client, "/tokens", "/tokens", **token).status_code == 200
        assert "Expected, not heard of" in client.get("/").text
        assert "It has a token" in client.get("/devices/barn-7").text
        assert fleet.post(client, "/devices/barn-7", "/card", **token, group="north").status_code == 303
        slip = {"device": "bern-7", "note": "a slip of the pen"}
        assert fleet.post(client, "/devices/barn-7", "/card", **slip).status_code == 303
        assert "slip of the pen, forget it" in client.get("/devices/bern-7").text
        assert fleet.post(client, "/devices/bern-7", "/forget", device="bern-7").status_code == 303
        assert "bern-7" not in client.get("/").text and "/devices/barn-7" in client.get("/").text
        assert fleet.post(client, "/devices/barn-7", "/forget", device="ridge").status_code == 409
        fleet.server.camera("barn-8").report()
        assert "barn-8" not in client.get("/").text.partition("Expected, not heard of")[2]
    with fleet.client("look-er") as client:
        assert "Forget" not in client.get("/devices/barn-7").text
        assert fleet.post(client, "/sign-out-is-not-a-page", "/forget", device="barn-7").status_code == 403


def test_a_tokens_file_that_cannot_be_read_hides_no_devices(tmp_path: Path, engine: Engine) -> None:
    reports, broken = tmp_path / "reports", tmp_path / "tokens"
    broken.mkdir()
    fleet, api = Reported(engine, reports=reports), FastAPI()
    asyncio.run(many(fleet, reports))
    fleet.users.add("ada", Role.OPERATE, None, "a test")
    where = Tallies(reports if fleet.reports == reports else str(fleet.reports))
    add_page(api, PageParts(fleet, where, tokens=broken, proxy=Proxy("testclient", "x-user")))
    with TestClient(api, headers={"x-user": "ada"}) as client:
        assert "cam-000" in client.get("/").text
        assert client.get("/devices/nobody").status_code == 404
        refused = client.get("/tokens")
        assert refused.status_code == 422 and "tokens file" in refused.text


def test_events_go_on_page_by_page_and_back(tmp_path: Path, engine: Engine) -> None:
    reports = tmp_path / "reports"
    asyncio.run(many(Reported(engine, reports=reports), reports))
    with looker(engine, reports, tmp_path) as client:
        seen, pages, path = [], [], "/events?which=all"
        while path:
            text = client.get(path).text
            seen += re.findall(r"(2026-[0-9: -]+)</time>", text)
            pages.append(path)
            path = "/events" + html.unescape(found[1]) if (found := OLDER.search(text)) else ""
        assert len(pages) == 3 and len(seen) == 150 and seen == sorted(seen, reverse=True)
        back = NEWER.search(client.get(pages[-1]).text)
        assert back is not None
        again = client.get("/events" + html.unescape(back[1])).text
        assert re.findall(r"(2026-[0-9: -]+)</time>", again) == seen[60:120] or NEWER.search(again)
        assert len(re.findall("<li>", client.get("/events?which=all&until=2026-05-31").text)) == 0
        assert len(re.findall("<li>", client.get("/events?which=all&until=2026-06-01").text)) == 60
        for wrong in ("before=here", "after=1", "until=today"):
            assert client.get(f"/events?{wrong}").status_code == 422


def test_devices_go_on_page_by_page(tmp_path: Path, engine: Engine) -> None:
    reports = tmp_path / "reports"
    asyncio.run(many(Reported(engine, reports=reports), reports, devices=205))
    with looker(engine, reports, tmp_path) as client:
        names, path = [], "/"
        while path:
            text = client.get(path).text
            names += re.findall(r'<a class="name" href="/devices/([^"]+)"', text)
            path = html.unescape(found[1]) if (found := OLDER.search(text)) else ""
        assert names == sorted({f"cam-{number:03}" for number in range(205)})


OLDER, NEWER = (re.compile(rf'<a rel="{way}" href="([^"]+)"') for way in ("next", "prev"))


async def many(fleet: Reported, folder: Path, devices: int = 1) -> None:
    """Reports of 150 frames, a minute apart, of one device; of others, of one frame."""
    store = ReportStore(folder) if isinstance(fleet.reports, Path) else SharedReports(fleet.engine)
    for number in range(devices):
        await store.keep(f"cam-{number:03}", report_of(*range(1 if number else 150)))
    await store.close()


@contextmanager
def looker(engine: Engine, reports: Path, folder: Path) -> Iterator[TestClient]:
    """A browser of somebody whom a proxy signs in, at a page without a server of devices."""
    fleet, api = Reported(engine, reports=reports), FastAPI()
    fleet.users.add("ada", Role.LOOK, None, "a test")
    proxy = Proxy("testclient", "x-user")
    add_page(api, PageParts(fleet, Tallies(reports if fleet.reports == reports else str(fleet.reports)), proxy=proxy))
    with TestClient(api, headers={"x-user": "ada"}) as client:
        yield client
