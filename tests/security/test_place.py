"""Hosts and ports that a person has written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.security.place import authority, in_url, read_host, read_place

HOSTS = (
    "vm.example",
    "cam_7.local",
    "localhost",
    "a",
    "xn--bcher-kva.example",
    "bücher.example",
    "10.0.0.7",
    "vm.example.",
)
NO_HOSTS = (
    ("", "no host"),
    ("a b", "a blank in it"),
    (" a", "a blank in it"),
    ("a ", "a blank in it"),
    ("a\tb", "signs that no name has"),
    ("a%20b", "signs that no name has"),
    ("user@host", "signs that no name has"),
    ("a,b", "signs that no name has"),
    ("a/b", "signs that no name has"),
    ("::1", "signs that no name has"),
    ("a..b", "a part that is empty"),
    (".", "a part that is empty"),
    ("-a.example", "begins or ends with -"),
    ("-", "begins or ends with -"),
    ("a" * 64, "too long"),
    (".".join(["a" * 60] * 5), "too long"),
    ("300.1.1.1", "no IPv4 address"),
    ("10.0.7", "no IPv4 address"),
    ("[x]", "no IPv6 address"),
    ("[10.0.0.7]", "no IPv6 address"),
    ("[::1", "signs that no name has"),
)


@pytest.mark.parametrize("host", HOSTS)
def test_hosts(host: str) -> None:
    assert read_host(host) == host
    assert read_place(f"{host}:1883") == (host, 1883)
    assert read_place(host, 443) == (host, 443)


def test_addresses_of_version_six_stand_in_brackets() -> None:
    assert read_place("[::1]:1883") == ("::1", 1883)
    assert read_place("[fe80::1%eth0]", 80) == ("fe80::1%eth0", 80)
    with pytest.raises(ValueError, match="IPv6 address without brackets"):
        read_place("::1:80")


@pytest.mark.parametrize(("host", "why"), NO_HOSTS)
def test_what_is_no_host(host: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_host(host)


@pytest.mark.parametrize("port", ["0", "65536", "", "80 ", "+80", "8_0", "१८", "x", "-1"])
def test_what_is_no_port(port: str) -> None:
    with pytest.raises(ValueError, match="no number from 1 to 65535"):
        read_place(f"vm.example:{port}", 80)


def test_a_port_that_must_be_written() -> None:
    with pytest.raises(ValueError, match="no port"):
        read_place("vm.example")


@given(st.text())
def test_any_text_is_a_place_or_refused_without_showing_it(text: str) -> None:
    try:
        host, port = read_place(text, 1)
    except UnicodeError:
        raise
    except ValueError as error:
        assert not text or len(text) < 4 or text not in str(error)
    else:
        assert 1 <= port <= 65535 and host and " " not in host


@pytest.mark.parametrize("host", ["cam-7.example", "192.0.2.1", "2001:db8::1", "::1"])
def test_a_place_is_read_back_as_it_is_written(host: str) -> None:
    assert read_place(authority(host, 50051)) == (host, 50051)
    assert read_host(in_url(host)) == host
