"""Addresses of proxies, what a proxy is asked, and what its answers mean."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.config import UplinkSettings
from edge_sdk.errors import ConfigError
from edge_sdk.security.proxy import HttpProxy


@pytest.mark.parametrize(
    ("address", "host", "port", "credentials"),
    [
        ("http://proxy.example:3128", "proxy.example", 3128, None),
        ("HTTP://10.0.0.1:8080/", "10.0.0.1", 8080, None),
        ("http://[fd00::1]:8080", "fd00::1", 8080, None),
        ("http://cam:secret@proxy:80", "proxy", 80, "cam:secret"),
        ("http://cam:a/b#c[d@e?f@proxy:80", "proxy", 80, "cam:a/b#c[d@e?f"),
        ("http://cam:50%25%40@proxy:80", "proxy", 80, "cam:50%@"),
    ],
)
def test_an_address_is_read(address: str, host: str, port: int, credentials: str | None) -> None:
    assert HttpProxy.parse(address) == HttpProxy(host, port, credentials)


@pytest.mark.parametrize(
    "address",
    [
        "proxy:3128",
        "cam:secret@proxy:3128",
        "https://cam:secret@proxy:3128",
        "socks5://cam:secret@proxy:3128",
        "http://cam:secret@proxy",
        "http://cam:secret@proxy:0",
        "http://cam:secret@proxy:3128/path",
        "http://secret@proxy:3128",
        "http://cam:secret\r\nX: y@proxy:3128",
        "http://cam:secret%0d%0aX: y@proxy:3128",
        "",
    ],
)
def test_another_form_is_refused_and_no_secret_shown(address: str) -> None:
    with pytest.raises(ConfigError, match="http://host:port") as caught:
        UplinkSettings(proxy=address)
    assert "secret" not in str(caught.value)


@given(
    password=st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters="%"), min_size=5)
)
def test_no_password_is_shown_whatever_it_holds(password: str) -> None:
    address = f"http://cam-1:{password}@proxy:3128"
    assert HttpProxy.parse(address).credentials == f"cam-1:{password}"
    shown = f"{HttpProxy.parse(address)!r} {UplinkSettings(proxy=address)!r}"
    assert shown == f"{HttpProxy('proxy', 3128)!r} {UplinkSettings()!r}"


def test_it_is_asked_for_a_tunnel() -> None:
    asked = HttpProxy("proxy", 3128, "cam:secret").request("[::1]:50051")
    told = base64.b64encode(b"cam:secret")
    assert (
        asked
        == b"CONNECT [::1]:50051 HTTP/1.1\r\nHost: [::1]:50051\r\nProxy-Authorization: Basic " + told + b"\r\n\r\n"
    )
    assert HttpProxy("proxy", 3128).request("vm:1") == b"CONNECT vm:1 HTTP/1.1\r\nHost: vm:1\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\nX: y", "demands a user and password"),
        (b"HTTP/1.1 403 Forbidden", "opens no way to vm:1 (HTTP/1.1 403 Forbidden)"),
        (b"HTTP/1.1 503 \x1b[2J\xff", r"opens no way to vm:1 (HTTP/1.1 503 \x1b[2J\xff)"),
        (b"SSH-2.0-OpenSSH", "is no HTTP proxy (SSH-2.0-OpenSSH)"),
        (b"", "is no HTTP proxy ()"),
        (b"HTTP/1.1 2000 " + b"x" * 9_000, "is no HTTP proxy"),
    ],
)
def test_a_refusal_says_what_to_do(head: bytes, words: str) -> None:
    said = HttpProxy("proxy", 3128).refusal(head, "vm:1")
    assert words in said
    assert said.isprintable()
    assert len(said) < 400


def test_a_tunnel_is_no_refusal_and_wrong_credentials_are_told() -> None:
    proxy = HttpProxy("proxy", 3128, "cam:secret")
    assert proxy.refusal(b"HTTP/1.1 200 Connection established\r\nVia: x", "vm:1") == ""
    assert proxy.refusal(b"HTTP/1.0 200", "vm:1") == ""
    said = proxy.refusal(b"HTTP/1.1 407 no", "vm:1")
    assert "does not accept the user and password given" in said
    assert "secret" not in said
