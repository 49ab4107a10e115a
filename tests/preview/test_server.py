"""The HTTP server against clients of all kinds: bounded, and gone when it is closed."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from http import HTTPStatus
from http.client import HTTPConnection

import pytest

from edge_sdk.preview import server as module
from edge_sdk.preview.server import MOST_CONNECTIONS, MOST_HEAD, Reply, Request, Server


class Site:
    """Says what was asked; /stream never ends."""

    def __init__(self) -> None:
        self.port = 0
        self.is_up, self.streaming, self.left = threading.Event(), threading.Event(), threading.Event()
        self.asked: list[Request] = []

    def listening(self, port: int) -> None:
        self.port = port
        self.is_up.set()

    def get(self, request: Request, send: Callable[[Reply], None]) -> None:
        self.asked.append(request)
        if request.path == "/fail":
            raise RuntimeError("a fault")
        if request.path == "/stream":
            send(Reply(self._endless(), "application/octet-stream"))
        else:
            send(Reply(f"{request.path} {sorted(request.query.items())}".encode(), "text/plain"))

    def _endless(self) -> Iterator[bytes]:
        self.streaming.set()
        try:
            while True:
                yield bytes(65536)
        finally:
            self.left.set()


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def server(site: Site) -> Iterator[Server]:
    running = Server("127.0.0.1", 0, site)
    assert site.is_up.wait(30)
    yield running
    running.close()


def get(site: Site, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = HTTPConnection("127.0.0.1", site.port, timeout=30)
    connection.request(method, path, headers=headers)
    reply = connection.getresponse()
    found = reply.status, dict(reply.getheaders()), reply.read()
    connection.close()
    return found


def raw(site: Site, content: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", site.port), timeout=30) as client:
        client.sendall(content)
        found = b""
        try:
            while part := client.recv(65536):
                found += part
        except ConnectionResetError:
            pass
        return found


def test_a_reply_has_the_headers_that_each_has(server: Server, site: Site) -> None:
    status, headers, body = get(site, "/a?b=c&b=d&e=%20")
    assert status == 200 and body == b"/a [('b', 'c'), ('e', ' ')]"
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin" and headers["Referrer-Policy"] == "no-referrer"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; img-src 'self'; style-src 'self'; script")
    assert "unsafe" not in headers["Content-Security-Policy"] and headers["Server"] == "edge-sdk"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "CONNECT", "BREW"])
def test_get_alone(server: Server, site: Site, method: str) -> None:
    status, headers, _ = get(site, "/", method)
    assert status == HTTPStatus.METHOD_NOT_ALLOWED and headers["Allow"] == "GET" and site.asked == []


def test_old_and_odd_clients(server: Server, site: Site) -> None:
    assert raw(site, b"GET /old HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 OK\r\n")
    assert raw(site, b"GET /bare HTTP/1.0\n\n").endswith(b"/bare []")
    assert raw(site, b"GET /older\r\n\r\n") == b"/older []"
    assert b" 505 " in raw(site, b"GET / HTTP/9.9\r\n\r\n")
    for nonsense in (
        b"\r\n\r\n",
        b"\0\xff\xfe\r\n\r\n",
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\0\r\n\r\n",
        b"GET / / / HTTP/1.1\r\n\r\n",
    ):
        assert b" 200 " not in raw(site, nonsense)
    assert len(site.asked) == 3


def test_a_head_that_is_too_long(server: Server, site: Site) -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: " + b"y" * MOST_HEAD + b"\r\n\r\n"
    assert b" 431 " in raw(site, head)
    many = b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n"
    assert b" 431 " in raw(site, many)
    assert site.asked == []


def test_too_many_fields_in_a_query(server: Server, site: Site) -> None:
    assert get(site, "/?" + "&".join(f"a{n}=1" for n in range(50)))[0] == HTTPStatus.BAD_REQUEST


def test_who_says_nothing_is_let_go(server: Server, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as soon:
        soon.setattr(module, "_HEAD_S", 0.05)
        assert raw(site, b"GET / HT") == b""
    assert get(site, "/after")[0] == 200


def test_who_leaves_ends_a_stream(server: Server, site: Site) -> None:
    with socket.create_connection(("127.0.0.1", site.port), timeout=30) as client:
        client.sendall(b"GET /stream HTTP/1.1\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")
    assert site.left.wait(30)


def test_who_does_not_read_is_let_go(server: Server, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_connection(("127.0.0.1", site.port), timeout=30) as client:
        with monkeypatch.context() as soon:
            soon.setattr(module, "_SEND_S", 0.1)
            client.sendall(b"GET /stream HTTP/1.1\r\n\r\n")
            assert site.left.wait(30)
        assert get(site, "/after")[0] == 200


def test_more_connections_than_may_be_are_turned_away(
    server: Server, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_HEAD_S", 1000.0)
    clients = [socket.create_connection(("127.0.0.1", site.port), timeout=30) for _ in range(100)]
    try:
        for client in clients[MOST_CONNECTIONS:]:
            assert client.recv(1) == b""
        assert server.connections == MOST_CONNECTIONS
        clients[0].sendall(b"GET /still HTTP/1.1\r\n\r\n")
        assert clients[0].recv(15) == b"HTTP/1.1 200 OK"
    finally:
        for client in clients:
            client.close()


def test_a_fault_for_one_viewer_ends_nothing(server: Server, site: Site, caplog: pytest.LogCaptureFixture) -> None:
    assert raw(site, b"GET /fail HTTP/1.1\r\n\r\n") == b""
    assert get(site, "/after")[0] == 200
    assert "failed for one viewer; it goes on" in caplog.text


def test_close_cuts_what_is_open(site: Site) -> None:
    server = Server("127.0.0.1", 0, site)
    assert site.is_up.wait(30)
    with socket.create_connection(("127.0.0.1", site.port), timeout=30) as client:
        client.sendall(b"GET /stream HTTP/1.1\r\n\r\n")
        assert site.streaming.wait(30)
        server.close()
        server.close()
        assert site.left.wait(30)
        while server.connections:  # on a busy machine the end is not waited for
            site.left.wait(0.001)
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", site.port), timeout=5)


def test_a_port_that_is_taken_is_had_once_it_is_free(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        server = Server("127.0.0.1", port, site, retry_s=0.05)
        try:
            until_logged(caplog, f"there is no preview: cannot listen on 127.0.0.1:{port}: the port is taken")
            assert not site.is_up.is_set()
            other.close()
            assert site.is_up.wait(30)
        finally:
            server.close()


def until_logged(caplog: pytest.LogCaptureFixture, words: str) -> None:
    while words not in caplog.text:
        threading.Event().wait(0.001)


@pytest.mark.parametrize(
    ("host", "said"), [("192.0.2.1", "the address is not this machine's"), ("no.such.name.invalid", "cannot listen on")]
)
def test_hosts_that_are_not_this_machine(host: str, said: str, site: Site, caplog: pytest.LogCaptureFixture) -> None:
    server = Server(host, 8080, site)
    try:
        until_logged(caplog, said)
    finally:
        server.close()
