from __future__ import annotations

from typing import Any

import pytest
from admin_parts import V1, Api

from cloud_server.fleet.database.users import Role
from edge_sdk.fleet.signed import read_signed

FRAME = f"{1:032x}"


def test_devices_are_told_with_their_cards(api: Api) -> None:
    card = {"latitude": 47.5, "longitude": 8.0, "group": "north", "note": "by the stream"}
    assert api.ask("PUT", "/devices/cam-1/card", json=card).json()["changed_by"] == "operate"
    found = {one["device"]: one for one in api.ask("GET", "/devices", Role.LOOK).json()}
    one = found["cam-1"]
    assert (one["frames"], one["exit_ratio"], one["bytes_sent"], one["answers"]) == (10, 0.8, 5000, 3)
    assert {name: one["card"][name] for name in card} == card
    assert (found["cam-2"]["exit_ratio"], found["cam-2"]["card"]) == (None, None)
    agree = one["audits"].pop("agree")
    assert one["audits"] == {
        "model": "trailcam 3",
        "exits": 100,
        "audits": 50,
        "answered": 50,
        "labelled": 0,
        "right": None,
    }
    assert (agree["share"], agree["frames"]) == (0.9, 50) and 0.5 < agree["low"] < 0.9 < agree["high"] < 1
    assert found["cam-2"]["audits"] is None
    assert api.ask("GET", "/devices/cam-2/card", Role.LOOK).json()["group"] == ""


def test_readings_share_their_connection(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    psycopg, opened = pytest.importorskip("psycopg"), []
    connect = psycopg.connect

    def counted(*args: Any, **options: Any) -> Any:
        opened.append(args)
        return connect(*args, **options)

    monkeypatch.setattr(psycopg, "connect", counted)
    for path in ("/devices", "/answers", "/events") * 4:
        assert api.ask("GET", path, Role.LOOK).json()
    assert len(opened) <= 1  # of PostgreSQL; SQLite has none


def test_answers_and_events_come_page_by_page(api: Api) -> None:
    for what in ("answers", "events"):
        seen, after = [], 0
        while rows := api.ask("GET", f"/{what}?after={after}&limit=3", Role.LOOK).json():
            seen += rows
            after = rows[-1]["number"]
        assert [row["device"] for row in seen] == ["cam-1"] * 3 + ["cam-2"]
        assert seen[-1]["label"] is None
        (only,) = api.ask("GET", f"/{what}?device=cam-2", Role.LOOK).json()
        assert only == seen[-1]


def test_the_newest_come_first_page_by_page(api: Api) -> None:
    for what in ("answers", "events"):
        path, seen = f"/{what}?newest=true&limit=3", []
        while path:
            reply = api.ask("GET", path, Role.LOOK)
            seen += reply.json()
            path = reply.headers.get("Link", "").partition(">")[0].removeprefix(f"<{V1}")
        times = [row["captured_ms" if what == "answers" else "began_ms"] for row in seen]
        assert len(times) == 4 and times == sorted(times, reverse=True)
        rows = api.ask("GET", f"/{what}?newest=true&device=cam-2", Role.LOOK).json()
        assert [row["device"] for row in rows] == ["cam-2"]
    assert api.ask("GET", "/answers?before=here", Role.LOOK).status_code == 422


def test_devices_come_page_by_page_too(api: Api) -> None:
    path, seen = "/devices?limit=1", []
    while path:
        reply = api.ask("GET", path, Role.LOOK)
        seen += [one["device"] for one in reply.json()]
        path = reply.headers.get("Link", "").partition(">")[0].removeprefix(f"<{V1}")
    assert seen == ["cam-2", "cam-1"]


def test_a_label_is_said_told_with_its_frame_and_taken_back(api: Api) -> None:
    path = f"/labels/cam-1/{FRAME}"
    assert api.ask("PUT", path, Role.LABEL, json={"label": "deer"}).json()["made_by"] == "label"
    assert [one["label"] for one in api.ask("GET", "/labels", Role.LOOK).json()] == ["deer"]
    assert api.ask("GET", "/answers?limit=1", Role.LOOK).json()[0]["person_label"] == "deer"
    api.ask("PUT", path, Role.LABEL, json={"label": None})
    assert api.ask("GET", "/labels", Role.LOOK).json() == []


def test_settings_are_wanted_and_their_history_is_told(api: Api) -> None:
    reply = api.ask("PUT", "/settings/cam-1", json={"settings": {"threshold": 0.7}})
    assert (reply.json()["target"], reply.json()["changed_by"]) == ("cam-1", "operate")
    told = api.ask("GET", "/settings/cam-1", Role.LOOK).json()
    assert told["settings"] == {"threshold": 0.7} and told["changed_by"] == reply.json()["changed_by"]
    assert [one["target"] for one in api.ask("GET", "/settings", Role.LOOK).json()] == ["cam-1"]
    content = api.fleet.settings.newest("cam-1", 0)
    assert content is not None and read_signed(content).body.settings == {"threshold": 0.7}
    refused = api.ask("PUT", "/settings/cam-1", json={"settings": {"speed": 1}})
    assert (refused.status_code, refused.headers["content-type"]) == (400, "application/problem+json")
    assert "expected settings among threshold" in refused.json()["detail"]


def test_a_token_is_shown_once_and_ends(api: Api) -> None:
    made = api.ask("POST", "/tokens", json={"device": "cam-1"})
    assert made.status_code == 201
    assert len(api.fleet.tokens.hashes()) == 1
    listed = api.ask("GET", "/tokens").text
    assert made.json()["token"] not in listed and next(iter(api.fleet.tokens.hashes())) not in listed
    assert api.ask("POST", "/tokens", json={"device": "cam-1"}).status_code == 400
    assert api.ask("DELETE", "/tokens/cam-1").status_code == 204
    assert api.ask("DELETE", "/tokens/cam-1").status_code == 404


def test_users_and_keys_are_made_changed_and_removed(api: Api) -> None:
    ada = {"name": "ada", "role": "look", "password": "a long password"}
    assert api.ask("POST", "/users", json=ada).status_code == 201
    assert api.ask("POST", "/users", json=ada).status_code == 400
    assert api.ask("PATCH", "/users/ada", json={"role": "label"}).status_code == 204
    assert {user["name"]: user["role"] for user in api.ask("GET", "/users").json()}["ada"] == "label"
    key = api.ask("POST", "/keys", json={"user": "ada", "note": "grafana"}).json()["key"]
    assert api.client.get(f"{V1}/devices", headers={"Authorization": f"Bearer {key}"}).status_code == 200
    (listed,) = [one for one in api.ask("GET", "/keys").json() if one["user"] == "ada"]
    assert api.ask("DELETE", f"/keys/{listed['key_id']}").status_code == 204
    assert api.client.get(f"{V1}/devices", headers={"Authorization": f"Bearer {key}"}).status_code == 401
    assert api.ask("DELETE", "/users/ada").status_code == 204
    assert api.ask("DELETE", "/users/ada").status_code == api.ask("PATCH", "/users/ada", json={}).status_code == 404
    last = api.ask("DELETE", "/users/operate")
    assert (last.status_code, "to remain" in last.json()["detail"]) == (400, True)


@pytest.mark.parametrize(
    ("method", "path", "needs"),
    [
        ("GET", "/devices", Role.LOOK),
        ("PUT", f"/labels/cam-1/{FRAME}", Role.LABEL),
        ("PUT", "/settings/cam-1", Role.OPERATE),
        ("PUT", "/devices/cam-1/card", Role.OPERATE),
        ("POST", "/tokens", Role.OPERATE),
        ("GET", "/users", Role.OPERATE),
        ("GET", "/keys", Role.OPERATE),
    ],
)
def test_each_route_needs_its_role(api: Api, method: str, path: str, needs: Role) -> None:
    for role in Role:
        status = api.ask(method, path, role, json={}).status_code
        assert (status == 403) == (not role.allows(needs)), role
    refused = api.ask(method, path, None, json={})
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert refused.json()["detail"].startswith("expected `Authorization: Bearer KEY`")


def test_the_description_needs_no_key_and_health_tells(api: Api) -> None:
    described = api.ask("GET", "/openapi.json", None).json()
    assert f"{V1}/devices" in described["paths"]
    assert api.ask("GET", "/health", Role.LOOK).json()["serving"] is True


def test_a_change_of_what_was_changed_meanwhile_is_a_conflict(api: Api) -> None:
    for path, form in (("/settings/cam-1", {"settings": {"audit": 0.1}}), ("/devices/cam-1/card", {"note": "a"})):
        seen = api.ask("GET", path).json()["changed_ms"]
        assert api.ask("PUT", path, json=form | {"since_ms": seen}).status_code == 200
        late = api.ask("PUT", path, json=form | {"since_ms": seen})
        assert late.status_code == 409 and "meanwhile" in late.json()["detail"]
        assert api.ask("PUT", path, json=form).status_code == 200


def test_a_card_of_a_device_that_never_reported_says_so_and_can_be_taken_away(api: Api) -> None:
    for name, reported in (("cam-1", True), ("cam-l", False), ("gate%2F3%20east", False)):
        assert api.ask("PUT", f"/devices/{name}/card", json={"group": "north"}).json()["reported"] is reported
        assert api.ask("GET", f"/devices/{name}/card", Role.LOOK).json()["reported"] is reported
    assert api.fleet.cards.get("gate/3 east").group == "north"
    assert api.ask("PUT", "/settings/gate%2F3%20east", json={"settings": {"threshold": 0.7}}).status_code == 200
    assert api.ask("DELETE", "/devices/cam-l/card", Role.LABEL).status_code == 403
    assert api.ask("DELETE", "/devices/cam-l/card").status_code == 204
    assert "cam-l" not in api.fleet.cards.all()
