from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from page_parts import PASSWORD
from sqlalchemy import Engine
from starlette.testclient import TestClient

from cloud_server.fleet.database.users import Role
from cloud_server.fleet.fleet import Fleet
from cloud_server.fleet.tallies import Tallies
from cloud_server.http.page.access import TRIES, Proxy
from cloud_server.http.page.page import PageParts
from cloud_server.http.page.routes import add_page

NEW = "another horse battery"


@pytest.fixture
def api(engine: Engine, tmp_path: Path) -> FastAPI:
    return page_of(Fleet(engine), tmp_path)


def page_of(fleet: Fleet, folder: Path, proxy: Proxy | None = None) -> FastAPI:
    made = FastAPI()
    for name in ("ada", "ben"):
        fleet.users.add(name, Role.LOOK, PASSWORD, "a test")
    add_page(made, PageParts(fleet, Tallies(folder), proxy=proxy))
    return made


@contextmanager
def browser(api: FastAPI, name: str = "", password: str = PASSWORD) -> Iterator[TestClient]:
    with TestClient(api, follow_redirects=False) as client:
        if name:
            assert post(client, "/sign-in", "/sign-in", name=name, password=password).status_code == 303
        yield client


def post(client: TestClient, seen: str, path: str, **fields: str) -> Any:
    key = client.get(seen).text.partition('name="key" value="')[2].partition('"')[0]
    return client.post(path, data={"key": key, **fields})


def change(client: TestClient, present: str, new: str, again: str = "") -> Any:
    return post(client, "/account", "/account/password", present=present, new=new, again=again or new)


def test_a_new_password_keeps_this_browser_and_ends_the_others(api: FastAPI) -> None:
    with browser(api, "ada") as here, browser(api, "ada") as there, browser(api, "ben") as ben:
        assert change(here, PASSWORD, NEW).headers["location"] == "/account?changed=true"
        assert "Your password is changed" in here.get("/account?changed=true").text
        assert here.get("/").status_code == ben.get("/").status_code == 200
        assert there.get("/").status_code == 303
        assert post(there, "/sign-in", "/sign-in", name="ada", password=PASSWORD).status_code == 401
        assert post(there, "/sign-in", "/sign-in", name="ada", password=NEW).status_code == 303


@pytest.mark.parametrize(
    ("fields", "status", "why"),
    [
        ((PASSWORD, NEW, "something else"), 422, "the two differ"),
        (("wrong", NEW), 401, "not your present password"),
        ((PASSWORD, "short"), 422, "expected a password of 10 to 256 characters"),
    ],
)
def test_what_is_refused_changes_nothing(api: FastAPI, fields: Any, status: int, why: str) -> None:
    with browser(api, "ada") as here, browser(api, "ada") as there:
        refused = change(here, *fields)
        assert refused.status_code == status and why in refused.text
        assert here.get("/").status_code == there.get("/").status_code == 200
    with browser(api, "ada"):
        pass


def test_present_passwords_cannot_be_guessed_by_who_finds_an_open_browser(api: FastAPI) -> None:
    with browser(api, "ada") as here:
        found = {change(here, f"guess {number}", NEW).status_code for number in range(TRIES)}
        assert found == {401}
        assert change(here, PASSWORD, NEW).status_code == 429


def test_signing_out_everywhere_ends_all_sessions_of_this_user(api: FastAPI) -> None:
    with browser(api, "ada") as here, browser(api, "ada") as there, browser(api, "ben") as ben:
        assert here.post("/account/sign-out", data={"key": "0" * 64}).status_code == 403
        assert post(here, "/account", "/account/sign-out").headers["location"] == "/sign-in"
        assert here.get("/").status_code == there.get("/").status_code == 303
        assert ben.get("/").status_code == 200


def test_signing_in_again_ends_the_session_that_the_browser_had(api: FastAPI) -> None:
    with browser(api, "ada") as here, browser(api) as other:
        other.cookies.update(dict(here.cookies))
        assert other.get("/").status_code == 200
        key = here.get("/account").text.partition('name="key" value="')[2].partition('"')[0]
        assert here.post("/sign-in", data={"key": key, "name": "ben", "password": PASSWORD}).status_code == 303
        assert other.get("/").status_code == 303


def test_whom_a_proxy_signs_in_has_no_password_here(engine: Engine, tmp_path: Path) -> None:
    api = page_of(Fleet(engine), tmp_path, Proxy("testclient", "x-user"))
    with TestClient(api, headers={"x-user": "ada"}) as client:
        text = client.get("/account").text
        assert "A proxy signs you in" in text and "password" not in text.partition("<main")[2].replace(
            "Your password", ""
        )
