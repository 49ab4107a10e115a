from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import pytest
from prometheus_client import CollectorRegistry, Counter

from cloud_server.http.app import make_app
from cloud_server.http.endpoint import Endpoint
from edge_sdk.errors import ConfigError

_open = build_opener(ProxyHandler({})).open


def get(address: str, path: str, method: str = "GET") -> tuple[int, str]:
    try:
        with _open(Request(f"http://{address}{path}", method=method)) as reply:
            return reply.status, reply.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.fixture
def states() -> list[bool]:
    return [True]


@pytest.fixture
def endpoint(states: list[bool]) -> Iterator[Endpoint]:
    registry = CollectorRegistry()
    Counter("seen", "Things.", registry=registry).inc(3)
    it = Endpoint("127.0.0.1", 0, make_app(registry, lambda: states[-1])[1])
    yield it
    it.close()


def test_metrics_and_health(endpoint: Endpoint, states: list[bool]) -> None:
    status, text = get(endpoint.address, "/metrics")
    assert status == 200
    assert "seen_total 3.0" in text.splitlines()
    for path in ("/healthz", "/readyz"):
        assert get(endpoint.address, path) == (200, "serving\n")
        assert get(endpoint.address, path, "HEAD") == (200, "")
    states.append(False)
    for path in ("/healthz", "/readyz"):
        assert get(endpoint.address, path) == (503, "not serving\n")


def test_other_paths_and_methods_are_refused(endpoint: Endpoint) -> None:
    assert get(endpoint.address, "/")[0] == 404
    assert get(endpoint.address, "/metrics", "POST")[0] == 405


def test_a_silent_client_holds_up_no_one(endpoint: Endpoint) -> None:
    host, _, port = endpoint.address.partition(":")
    with socket.create_connection((host, int(port))) as silent:
        silent.sendall(b"GET /met")
        assert get(endpoint.address, "/healthz") == (200, "serving\n")


def test_a_taken_port_is_explained(endpoint: Endpoint) -> None:
    port = int(endpoint.address.rpartition(":")[2])
    with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}: the port is taken"):
        Endpoint("127.0.0.1", port, make_app(CollectorRegistry(), lambda: True)[1])


def test_ipv6() -> None:
    try:
        endpoint = Endpoint("::1", 0, make_app(CollectorRegistry(), lambda: True)[1])
    except ConfigError as error:
        pytest.skip(str(error))
    try:
        assert endpoint.address.startswith("[::1]:")
        assert get(endpoint.address, "/healthz") == (200, "serving\n")
    finally:
        endpoint.close()


def test_it_ends_while_a_client_is_silent(endpoint: Endpoint) -> None:
    host, _, port = endpoint.address.partition(":")
    with socket.create_connection((host, int(port))) as silent:
        silent.sendall(b"POST /none HTTP/1.1\r\nContent-Length: 10\r\n\r\n")
        endpoint.close()
