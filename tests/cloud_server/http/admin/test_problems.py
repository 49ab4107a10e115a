from __future__ import annotations

import pytest
from admin_parts import Api

from cloud_server.fleet.database.opening import Unavailable
from cloud_server.fleet.database.users import Role


def test_what_is_not_as_described_is_told_by_its_place(api: Api) -> None:
    refused = api.ask("POST", "/tokens", json={"device": "", "more": 1})
    assert refused.status_code == 422
    assert refused.json()["title"] == "Unprocessable Content" or refused.json()["title"] == "Unprocessable Entity"
    assert "body.device" in refused.json()["detail"] and "body.more" in refused.json()["detail"]
    assert api.ask("POST", "/tokens", content=b"{").status_code == 422


def test_a_database_that_does_not_answer_is_a_reply_and_where_it_is_stays_in_the_log(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def gone(*_: object) -> None:
        raise Unavailable("the database postgresql://edge@db.internal/fleet does not answer")

    monkeypatch.setattr(api.fleet.labels, "all", gone)
    refused = api.ask("GET", "/labels", Role.LOOK)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert "ask again later" in refused.json()["detail"] and "db.internal" not in refused.text
    assert "db.internal" in caplog.text


def test_what_no_route_takes_is_a_problem_too(api: Api) -> None:
    for method, path, status in (
        ("GET", "/none", 404),
        ("PUT", "/devices/a%0Ab/card", 404),  # no device has a line break in its name
        ("DELETE", "/labels", 405),
    ):
        refused = api.ask(method, path, json={})
        assert (refused.status_code, refused.json()["status"]) == (status, status)
        assert refused.headers["content-type"] == "application/problem+json"
    elsewhere = api.client.get("/none")
    assert (elsewhere.status_code, elsewhere.json()) == (404, {"detail": "Not Found"})
