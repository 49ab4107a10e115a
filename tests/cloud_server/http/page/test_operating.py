from __future__ import annotations

import re
from typing import Any

import grpc
import pytest
from fleet_parts import Camera
from page_parts import Fleet, signed_in

from edge_sdk.fleet.signed import SettingsKey, read_signed
from edge_sdk.wire import offload_pb2 as wire


def test_a_token_is_issued_shown_once_used_and_revoked(fleet: Fleet, browser: Any) -> None:
    tab = signed_in(browser, fleet, "operate-er")
    tab.goto("/tokens")
    tab.get_by_label("Name of the device").fill("new-cam")
    tab.get_by_role("button", name="Issue").click()
    token = tab.locator(".token").inner_text().strip()
    tab.goto("/tokens")
    assert token not in tab.content()
    camera = Camera("new-cam", token, fleet.server.address)
    camera.report()
    row = tab.get_by_role("row").filter(has_text="new-cam")
    row.get_by_text("Revoke", exact=True).click()
    row.get_by_role("button", name="Revoke the token of new-cam").click()
    row.wait_for(state="detached")
    with pytest.raises(grpc.RpcError) as refused:
        camera.report()
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert tab.faults == []
    tab.context.close()


def test_a_second_token_and_a_wrong_name_are_refused(fleet: Fleet) -> None:
    with fleet.client("operate-er") as client:
        for device, why in (("ridge", "revoke it first"), ("two words", "expected a device name")):
            reply = fleet.post(client, "/tokens", "/tokens", device=device)
            assert reply.status_code == 422
            assert re.search(why, reply.text), reply.text


def test_settings_travel_back_with_a_report(fleet: Fleet) -> None:
    camera = fleet.cameras["ford"]
    with fleet.client("operate-er") as client:
        wanted = {"target": "ford", "threshold": "0.7", "upload": "3MB/day", "never_upload": "person"}
        assert fleet.post(client, "/settings", "/settings", **wanted).status_code == 303
        page = client.get("/settings?target=ford").text
        assert 'value="0.7"' in page
        assert "operate-er" in page
        wrong = fleet.post(client, "/settings", "/settings", target="ford", upload="a lot")
        assert wrong.status_code == 422
        assert "a lot" in wrong.text
    reply = camera.report(held=wire.HeldSettings(takes=True))
    signed = read_signed(reply.settings)
    SettingsKey(fleet.server.folder / "settings.pub").check(signed)
    assert signed.body.settings == {
        "threshold": 0.7,
        "budget": {"upload": "3MB/day"},
        "private": {"never_upload": ["person"]},
    }
    assert fleet.cameras["ridge"].report(held=wire.HeldSettings(takes=True)).settings == b""


def test_what_somebody_else_has_changed_meanwhile_is_not_put_over_unseen(fleet: Fleet) -> None:
    with fleet.client("operate-er") as client:
        for seen, path, field, given in (
            ("/settings?target=ridge", "/settings", "threshold", {"target": "ridge"}),
            ("/devices/ridge", "/card", "note", {"device": "ridge"}),
        ):
            old = client.get(seen).text

            def field_of(text: str, name: str) -> str:
                found = re.search(rf'name="{name}"[^>]* value="([^"]*)"', text)
                return found[1] if found else ""

            form = {"key": field_of(old, "key"), "since": field_of(old, "since"), **given}
            assert client.post(path, data=form | {field: "0.25"}).status_code == 303
            late = client.post(path, data=form | {field: "0.75"})
            assert late.status_code == 409 and "operate-er has changed them meanwhile" in late.text
            assert field_of(client.get(seen).text, field) == "0.25"
            if path == "/settings":  # what was typed stands, and holds where it is signed again
                assert field_of(late.text, field) == "0.75"
                again = form | {field: "0.75", "since": field_of(late.text, "since")}
                assert client.post(path, data=again).status_code == 303
                assert field_of(client.get(seen).text, field) == "0.75"


def test_what_a_device_gets_of_all_devices_stands_beside_its_own(fleet: Fleet) -> None:
    with fleet.client("operate-er") as client:
        assert "What is left empty here" not in client.get("/settings?target=ridge").text
        for audit, shown in (("0.02", True), ("", False)):
            assert fleet.post(client, "/settings", "/settings", target="*", audit=audit).status_code == 303
            for target in ("ridge", "group:north"):
                assert ("<b>audit 0.02</b>" in client.get("/settings", params={"target": target}).text) is shown
            assert "What is left empty here" not in client.get("/settings").text
