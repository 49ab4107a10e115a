"""Who is let in."""

from __future__ import annotations

import socket
from email.message import Message
from pathlib import Path

import pytest

from edge_sdk.errors import ConfigError
from edge_sdk.preview.access import Access, own_names, shown_host, token_of
from edge_sdk.security.tokens import new_token

TOKEN = new_token()


def headers(**values: str) -> Message:
    found = Message()
    for name, value in values.items():
        found[name] = value
    return found


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8080", "localhost", "LOCALHOST:1", "10.0.0.7", "[::1]:80", "[fe80::1]", "trap.example.:80"]
)
def test_addresses_and_own_names_are_known(host: str) -> None:
    assert Access(TOKEN, ["localhost", "trap.example"], 8080).knows_host(host)


STRANGERS = (
    None,
    "",
    "evil.example",
    "127.0.0.1.evil.example:8080",
    "localhost.evil.example",
    ":80",
    "[evil]:80",
    "a b",
)


@pytest.mark.parametrize("host", STRANGERS)
def test_other_names_are_not(host: str | None) -> None:
    assert not Access(TOKEN, ["localhost", "trap.example"], 8080).knows_host(host)


def test_cookie_and_bearer_let_in_and_nothing_else_does() -> None:
    access = Access(TOKEN, [], 8080)
    name = "edge-sdk-preview-8080"
    assert access.admits(headers(Cookie=f"other=1; {name}={TOKEN}"))
    assert access.admits(headers(Authorization=f"Bearer {TOKEN}"))
    for shown in (
        headers(),
        headers(Cookie=f"{name}="),
        headers(Cookie=f"{name}={TOKEN[:-1]}"),
        headers(Cookie=f"edge-sdk-preview-8081={TOKEN}"),
        headers(Cookie=f"{name}=\u00fc\u20ac"),
        headers(Cookie=";;=;\x00"),
        headers(Authorization=TOKEN),
        headers(Authorization=f"Basic {TOKEN}"),
        headers(Authorization="Bearer "),
    ):
        assert not access.admits(shown)


def test_without_a_token_everybody_is_let_in_and_no_text_is_the_token() -> None:
    access = Access("", [], 8080)
    assert access.admits(headers()) and not access.needs_token


def test_the_cookie_is_for_this_site_alone() -> None:
    said = Access(TOKEN, [], 8080).cookie
    assert "HttpOnly" in said and "SameSite=Strict" in said and "Path=/" in said


def test_the_token_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "state" / "preview.token"
    token, is_new = token_of(path)
    assert is_new and path.stat().st_mode & 0o777 == 0o600 and len(token) >= 43
    assert token_of(path) == (token, False)
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        token_of(path)
    path.chmod(0o600)
    path.write_text("short\n")
    with pytest.raises(ConfigError, match="expected one token") as caught:
        token_of(path)
    assert "short" not in str(caught.value)


def test_a_token_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(ConfigError, match="cannot write the preview's token file"):
        token_of(tmp_path / "state" / "preview.token")


def test_hosts_that_people_open() -> None:
    assert shown_host("192.168.1.7") == "192.168.1.7"
    assert shown_host("::1") == "[::1]"
    assert shown_host("cam-7.local") == "cam-7.local"
    assert shown_host("0.0.0.0") not in ("0.0.0.0", "")
    assert socket.gethostname() in own_names()
