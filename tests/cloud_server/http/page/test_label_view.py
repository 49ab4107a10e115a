from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fleet_parts import answer, fleet_server
from page_parts import Fleet, options_of, signed_in, tell
from sqlalchemy import Engine
from starlette.testclient import TestClient

from cloud_server.fleet.archive_folder import ANSWERS
from cloud_server.fleet.database.reports import SharedReports
from cloud_server.fleet.database.users import Role
from cloud_server.fleet.fleet import Fleet as Reported
from cloud_server.fleet.report_store import Report, ReportStore
from cloud_server.fleet.tallies import Tallies
from cloud_server.http.page.access import Proxy
from cloud_server.http.page.page import PageParts
from cloud_server.http.page.routes import add_page
from edge_sdk.fleet.report_file import Status
from edge_sdk.types import new_frame_id


def labels_of(fleet: Fleet) -> list[tuple[str, str]]:
    with fleet.client("look-er") as client:
        return [(row["id"], row["answer"]) for row in csv.DictReader(io.StringIO(client.get("/labels.csv").text))]


def test_keys_label_and_what_was_confirmed_outlives_browser_and_server(
    tmp_path: Path, checkpoint: Path, browser: Any
) -> None:
    """Server and browser are killed in the middle: each label whose confirmation was seen is there afterwards."""
    options = options_of(tmp_path)
    with fleet_server(tmp_path, str(checkpoint), *options) as server:
        fleet = Fleet(server, {}, tell([server.camera("ridge")], 6))
        tab = signed_in(browser, fleet, "label-er")
        tab.goto("/label")
        assert "an audit on which the models differ" in tab.locator("main").inner_text()
        shown = []
        for key, said in (("r", "fox"), ("n", "no class fits"), ("d", "deer")):
            shown.append(tab.locator("[name=frame_id]").input_value())
            tab.keyboard.press(key)
            tab.get_by_role("status").get_by_text(said).wait_for()
        tab.keyboard.press("u")
        tab.wait_for_url("**/label?device=")
        assert tab.locator("[name=frame_id]").input_value() == shown[2]
        tab.keyboard.press("/")
        tab.keyboard.type("wild r")  # keys within the field are letters
        tab.keyboard.press("Enter")
        tab.get_by_role("status").get_by_text("wild r").wait_for()
        expected = list(zip(shown, ("fox", "-", "wild r"), strict=True))
        assert labels_of(fleet) == expected
        assert tab.faults == []
        tab.keyboard.press("r", delay=0)
        server.process.kill()
        tab.context.close()
    with fleet_server(tmp_path, str(checkpoint), *options) as server:
        found = labels_of(Fleet(server, {}, []))
        assert found[:3] == expected
        assert len(found) <= 4


def test_a_label_of_an_audit_counts_at_once(fleet: Fleet) -> None:
    audit = fleet.frames[1]
    with fleet.client("label-er") as client:
        assert fleet.post(client, "/label", "/label", device="ridge", frame_id=audit, answer="fox").status_code == 303
        device = client.get("/devices/ridge").text
        assert "right by people&#39;s labels: 0.0% (too few to be sure of anything), by 1 of 1 audits" in device
        assert "0.0% right" in client.get("/").text
        assert fleet.post(client, "/label", "/label/undo").status_code == 303
        assert "right by people" not in client.get("/devices/ridge").text


def test_frames_that_were_not_reported_get_no_label(fleet: Fleet) -> None:
    with fleet.client("label-er") as client:
        for fields in ({"frame_id": "0" * 32, "answer": "fox"}, {"frame_id": fleet.frames[0], "answer": ""}):
            assert fleet.post(client, "/label", "/label", device="ridge", **fields).status_code == 422


def test_nothing_to_label(tmp_path: Path, checkpoint: Path) -> None:
    with (
        fleet_server(tmp_path, str(checkpoint), *options_of(tmp_path)) as server,
        Fleet(server, {}, []).client("operate-er") as client,
    ):
        assert "Nothing to label yet" in client.get("/label").text
        assert "Issue a token for the first device" in client.get("/").text
        assert "No events yet" in client.get("/events").text
        assert "Nothing was changed here yet" in client.get("/settings").text


async def test_audits_come_first_however_many_frames_came_since_and_wherever_a_clock_stands(
    engine: Engine, tmp_path: Path
) -> None:
    now, folder = datetime.now(UTC), tmp_path / "archive"
    reported = Reported(engine, reports=tmp_path / "reports")
    where = reported.reports
    store = ReportStore(where) if isinstance(where, Path) else SharedReports(engine)
    audit = answer(new_frame_id(), now - timedelta(days=3), "fox", "fox", audit=True)
    old = [answer(new_frame_id(), now - timedelta(days=2), "fox", "fox")]
    busy = [answer(new_frame_id(), now - timedelta(minutes=n), "fox", "deer") for n in range(2100)]
    ahead = [answer(new_frame_id(), now + timedelta(days=4000, minutes=n), "fox", "deer") for n in range(2100)]
    await store.keep("cam-1", Report(Status(), [audit, *old]))
    await store.keep("busy", Report(Status(), busy))
    await store.keep("ahead", Report(Status(), ahead))
    await store.close()
    day = folder / "2026-11-28"
    day.mkdir(parents=True)
    rows = [("cam-1", audit), *(("cam-1", one) for one in old), *(("busy", one) for one in busy)]
    rows += [("ahead", one) for one in ahead]
    lines = [json.dumps({"file": f"2026-11-28/{one.frame_id}.jpg", "device": device}) + "\n" for device, one in rows]
    (folder / ANSWERS).write_text("".join(lines))
    reported.users.add("ada", Role.LABEL, None, "a test")
    api, proxy = FastAPI(), Proxy("testclient", "x-user")
    tallies = Tallies(where if isinstance(where, Path) else str(where))
    add_page(api, PageParts(reported, tallies, archive=folder, proxy=proxy))
    with TestClient(api, headers={"x-user": "ada"}, follow_redirects=False) as client:
        text = client.get("/label").text
        assert f'name="frame_id" value="{audit.frame_id}"' in text and "2101 to go, 0 by you" in text
        key = text.partition('name="key" value="')[2].partition('"')[0]
        form = {"key": key, "device": "cam-1", "frame_id": audit.frame_id, "answer": "boar"}
        assert client.post("/label", data=form).status_code == 303
        text = client.get("/label").text
        assert 'name="device" value="busy"' in text and "2100 to go, 1 by you" in text and ">boar<" in text
        assert 'name="device" value="ahead"' in client.get("/label?device=ahead").text
        assert client.post("/label/undo", data={"key": key}).status_code == 303
        assert f'name="frame_id" value="{audit.frame_id}"' in client.get("/label").text
