"""Hostile clients on real sockets, with short times in place of the real ones, each from when it is to pass on."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
from prometheus_client import CollectorRegistry
from starlette.types import Receive, Scope, Send

from cloud_server.http import connection
from cloud_server.http.app import make_app
from cloud_server.http.endpoint import Endpoint

SHORT_S, LONG_S = 0.05, 3600.0


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(connection, "HEAD_S", LONG_S)
    monkeypatch.setattr(connection, "WRITE_S", SHORT_S)

    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        """200 MiB for a GET; the body of a POST is not read, and has little time from now on."""
        if scope["method"] == "POST":
            monkeypatch.setattr(connection, "HEAD_S", SHORT_S)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(200 if scope["method"] == "GET" else 0):
            await send({"type": "http.response.body", "body": bytes(1 << 20), "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    endpoint = Endpoint("127.0.0.1", 0, make_app(CollectorRegistry(), lambda: True, large)[1])
    yield int(endpoint.address.rpartition(":")[2])
    endpoint.close()


def reads_to_end(client: socket.socket) -> bytes:
    got = b""
    try:
        while part := client.recv(1 << 16):
            got += part
    except ConnectionResetError:
        pass
    return got


@pytest.mark.parametrize(
    "sent", [b"", b"GET /heal", b"GET /healthz HTTP/1.1\r\nA: b\r\n"], ids=["nothing", "a line", "headers"]
)
def test_a_head_that_does_not_end_is_cut_off(port: int, sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_S", SHORT_S)
    with socket.create_connection(("127.0.0.1", port)) as client:
        with suppress(ConnectionError):  # it has ended already
            client.sendall(sent)
        assert reads_to_end(client) == b""


def test_a_second_head_is_cut_off_too(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 200")
        monkeypatch.setattr(connection, "HEAD_S", SHORT_S)
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost")
        assert b"200" not in reads_to_end(client)


def test_the_body_of_an_answered_request_is_not_awaited(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"POST /v2 HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc")
        assert reads_to_end(client).startswith(b"HTTP/1.1 200")


def test_a_client_that_takes_no_reply_is_cut_off(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET /v2 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")
        with socket.create_connection(("127.0.0.1", port)) as other:  # the loop goes on meanwhile
            other.sendall(b"GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert reads_to_end(other).startswith(b"HTTP/1.1 404")
            monkeypatch.setattr(connection, "HEAD_S", SHORT_S)
            with socket.create_connection(("127.0.0.1", port)) as third:
                assert reads_to_end(third) == b""  # as long as the slow one has
        assert len(reads_to_end(client)) < 200 << 20


def test_too_long_a_head_is_refused(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nA: " + b"b" * (connection.HEAD_BYTES * 2))
        assert b" 400 " in reads_to_end(client)


def test_connections_are_bounded(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CONNECTIONS", 3)
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(4)]
        assert reads_to_end(clients[3]) == b""
        clients[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert reads_to_end(clients[0]).endswith(b"serving\n")


def test_one_address_has_fewer(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CONNECTIONS_OF_ONE", 2)
    monkeypatch.setattr(connection, "LOOPBACK", ())
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(3)]
        assert reads_to_end(clients[2]) == b""
