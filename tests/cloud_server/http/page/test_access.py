from __future__ import annotations

from contextlib import nullcontext
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from cloud_server.fleet.database.opening import open_database
from cloud_server.fleet.database.users import Role, Users
from cloud_server.http.page.access import TRIES, TRIES_S, Access, Proxy, Tries


def test_tries_are_few_by_address_and_by_name() -> None:
    now = [0.0]
    tries = Tries(clock=lambda: now[0])
    for number in range(TRIES):
        assert tries.wait_s("address 1", "name ada") == 0
        tries.failed("address 1", f"name {number}")
    assert tries.wait_s("address 1") == TRIES_S
    assert tries.wait_s("address 2", "name ada") == 0
    now[0] = TRIES_S + 1
    assert tries.wait_s("address 1") == 0


def request(address: str, **headers: str) -> Request:
    given = [(name.replace("_", "-").lower().encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": given, "client": (address, 1), "path": "/", "query_string": b""})


def test_a_header_counts_from_the_proxy_alone(tmp_path: object) -> None:
    users = Users(open_database(f"{tmp_path}/fleet.db"))
    users.add("ada@example.org", Role.LABEL, None, "test")
    access = Access(users, Proxy("10.0.0.1", "X-Forwarded-User"))
    found = access.person(request("10.0.0.1", x_forwarded_user="ada@example.org"))
    assert found is not None
    assert found.role is Role.LABEL
    assert access.person(request("10.0.0.2", x_forwarded_user="ada@example.org")) is None
    assert access.person(request("10.0.0.1", x_forwarded_user="eve")) is None
    assert access.person(request("10.0.0.1")) is None
    twice = request("10.0.0.1", x_forwarded_user="ada@example.org", X_Forwarded_User="eve")
    assert access.person(twice) is None  # the visitor sent one too, and the proxy passed it on
    assert access.address(request("10.0.0.1", x_forwarded_for="9.9.9.9, 1.2.3.4")) == "1.2.3.4"
    assert access.address(request("10.0.0.2", x_forwarded_for="1.2.3.4")) == "10.0.0.2"


def test_behind_a_proxy_on_this_machine_visitors_are_told_apart(tmp_path: object) -> None:
    access = Access(Users(open_database(f"{tmp_path}/fleet.db")))
    for here in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
        assert access.address(request(here, x_forwarded_for="6.6.6.6, 1.2.3.4")) == "1.2.3.4"
    assert access.address(request("127.0.0.1")) == "127.0.0.1"
    assert access.address(request("10.0.0.2", x_forwarded_for="1.2.3.4")) == "10.0.0.2"


@pytest.mark.parametrize(
    ("headers", "is_let_in"),
    [
        ({"host": "127.0.0.1:8080", "origin": "https://fleet.example", "sec_fetch_site": "same-origin"}, True),
        ({"host": "fleet.example", "origin": "https://fleet.example"}, True),
        ({"host": "127.0.0.1:8080", "origin": "https://fleet.example"}, False),
        ({"host": "fleet.example", "origin": "https://fleet.example", "sec_fetch_site": "cross-site"}, False),
        ({"host": "fleet.example", "origin": "https://evil.fleet.example", "sec_fetch_site": "same-site"}, False),
        ({"host": "fleet.example", "origin": "null", "sec_fetch_site": "cross-site"}, False),
    ],
)
def test_a_form_is_of_this_site_by_the_browsers_own_word(
    tmp_path: object, headers: dict[str, str], is_let_in: bool
) -> None:
    """A proxy may change the host that was asked, as nginx does."""
    access, sent = Access(Users(open_database(f"{tmp_path}/fleet.db"))), request("127.0.0.1", **headers)
    access.begin(sent)
    with pytest.raises(HTTPException) if not is_let_in else nullcontext():
        access.check_form(sent, access.form_key(sent))
    with pytest.raises(HTTPException):
        access.check_form(sent, "0" * 64)


@pytest.mark.parametrize(
    ("path", "query", "to"),
    [
        ("/events", b"", "/events"),
        ("/events", b"device=a%26b&which=all", "/events?device=a%26b&which=all"),
        ("/devices/a&b?c d", b"", "/devices/a%26b%3Fc%20d"),
    ],
)
def test_signing_in_leads_to_what_was_asked_for(tmp_path: object, path: str, query: bytes, to: str) -> None:
    access = Access(Users(open_database(f"{tmp_path}/fleet.db")))
    scope = {"type": "http", "headers": [(b"host", b"x")], "client": ("::1", 1), "path": path, "query_string": query}
    with pytest.raises(HTTPException) as sent:
        access.need(Request(scope), Role.LOOK)
    assert sent.value.headers is not None
    assert parse_qs(urlsplit(sent.value.headers["Location"]).query) == {"to": [to]}
