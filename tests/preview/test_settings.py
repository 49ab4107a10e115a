"""Which values the section takes."""

from __future__ import annotations

from typing import Any

import pytest

from edge_sdk.errors import ConfigError
from edge_sdk.preview.settings import PreviewSettings, check_http


@pytest.mark.parametrize(
    ("http", "host", "port", "needs_token"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080, False),
        ("localhost:80", "localhost", 80, False),
        ("[::1]:8080", "::1", 8080, False),
        ("127.9.9.9:0", "127.9.9.9", 0, False),
        ("0.0.0.0:8080", "0.0.0.0", 8080, True),
        ("[::]:8080", "::", 8080, True),
        ("192.168.1.7:8080", "192.168.1.7", 8080, True),
        ("cam-7.local:8080", "cam-7.local", 8080, True),
        ("localhost.example:80", "localhost.example", 80, True),
    ],
)
def test_addresses(http: str, host: str, port: int, needs_token: bool) -> None:
    wants = PreviewSettings(http=http)
    assert (wants.host, wants.port, wants.needs_token) == (host, port, needs_token)


@pytest.mark.parametrize(
    "text",
    ["", "8080", ":8080", "host", "a:b", "1.2.3.4:70000", "http://a:80", "a b:80", "a:8\n", "1.2.3:80", "[1.2.3.4]:80"],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ConfigError, match="expected http as host:port"):
        check_http(text)


def test_a_port_alone_gets_its_two_hosts_named() -> None:
    with pytest.raises(ConfigError, match=r"did you mean 127\.0\.0\.1:8080 or 0\.0\.0\.0:8080\?"):
        PreviewSettings(http=":8080")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"fps": 0.0}, "expected fps"),
        ({"fps": float("nan")}, "expected fps"),
        ({"fps": 60.0}, "expected fps"),
        ({"side": 20}, "expected side"),
        ({"viewers": 0}, "expected viewers"),
        ({"viewers": 100}, "expected viewers"),
        ({"names": ("a:80",)}, "expected names"),
        ({"names": ("http://a",)}, "expected names"),
    ],
)
def test_what_is_refused(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        PreviewSettings(**values)


def test_without_an_address_there_is_none() -> None:
    assert PreviewSettings().http is None
