"""A small HTTP server on threads of its own: bounded in connections, in what it reads and in how long it waits.

It reads GET and no body, answers once for each connection, and never follows a path into the file system.
"""

from __future__ import annotations

import errno
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from time import monotonic
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from edge_sdk.security.place import in_url

_log = logging.getLogger(__name__)

MOST_CONNECTIONS = 32
MOST_HEAD = 16_384
_HEAD_S, _SEND_S, _RETRY_S, _END_S = 5.0, 10.0, 30.0, 2.0
_SEND_BUFFER = 128 * 1024  # a slow viewer shall not see what was long ago
_HEADERS = {
    "Cache-Control": "no-store",
    "Connection": "close",
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class Request:
    """What a browser asks for.

    Attributes:
        path: without query, not decoded.
        query: the first value of each name.
        headers: by name, in any case.
    """

    path: str
    query: dict[str, str]
    headers: Message


@dataclass(frozen=True, slots=True)
class Reply:
    """What it gets.

    Attributes:
        body: all of it; or its parts as they come, until the browser leaves.
        kind: its content type.
        status: of HTTP.
        headers: beside those that each reply has.
    """

    body: bytes | Iterator[bytes]
    kind: str = "text/html; charset=utf-8"
    status: HTTPStatus = HTTPStatus.OK
    headers: dict[str, str] = field(default_factory=dict)


class Site(Protocol):
    """What is served."""

    def get(self, request: Request, send: Callable[[Reply], None]) -> None:
        """Answer a request by one call of `send`, on a thread of the connection's own."""

    def listening(self, port: int) -> None:
        """It is served now."""


class Server:
    """Serves from its construction until `close`; a port that cannot be had is tried again.

    Args:
        host: where to listen, without brackets.
        port: 0 takes a free one.
        site: what is served.
        retry_s: seconds between two tries.
    """

    def __init__(self, host: str, port: int, site: Site, *, retry_s: float = _RETRY_S) -> None:
        self._host, self._port, self._site, self._retry_s = host, port, site, retry_s
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._open: dict[socket.socket, threading.Thread] = {}
        self._thread = threading.Thread(target=self._run, name="preview", daemon=True)
        self._thread.start()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._open)

    def close(self) -> None:
        """Stop listening and cut all connections; idempotent."""
        self._closed.set()
        with self._lock:
            waking = [*([self._listener] if self._listener is not None else []), *self._open]
            threads = [self._thread, *self._open.values()]
        for one in waking:
            _cut(one)
        end_s = monotonic() + _END_S
        for thread in threads:
            thread.join(max(0.0, end_s - monotonic()))

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                listener = _listen(self._host, self._port)
            except OSError as error:
                _log.error(
                    "there is no preview: cannot listen on %s:%d: %s; it is tried again every %.0f s, and the device "
                    "goes on",
                    in_url(self._host),
                    self._port,
                    _why(error, self._port),
                    self._retry_s,
                )
                self._closed.wait(self._retry_s)
                continue
            with listener:
                with self._lock:
                    self._listener = listener
                if self._closed.is_set():
                    return
                self._site.listening(listener.getsockname()[1])
                self._accept(listener)

    def _accept(self, listener: socket.socket) -> None:
        while not self._closed.is_set():
            try:
                connection, _ = listener.accept()
            except OSError as error:
                if not self._closed.is_set():
                    _log.warning("the preview cannot take a connection: %s", error.strerror)
                    self._closed.wait(1.0)
                continue
            if len(self._open) >= MOST_CONNECTIONS:
                connection.close()
                continue
            thread = threading.Thread(target=self._serve, args=(connection,), name="preview viewer", daemon=True)
            with self._lock:
                self._open[connection] = thread
            try:
                thread.start()
            except RuntimeError:  # no more threads
                self._leave(connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
            head = _read_head(connection)
            connection.settimeout(_SEND_S)
            if head:
                _Handler(connection, head, self._site)
                _say_goodbye(connection)
        except OSError as error:
            _log.debug("a viewer left: %s", error)
        except Exception:
            if not self._closed.is_set():
                _log.exception("the preview failed for one viewer; it goes on")
        finally:
            self._leave(connection)

    def _leave(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.pop(connection, None)
        connection.close()


class _Handler(BaseHTTPRequestHandler):
    """Parses one request and writes one reply.

    Args:
        connection: the socket.
        head: what came, as far as the empty line; longer than `MOST_HEAD`: it was longer.
        site: what is served.
    """

    protocol_version = "HTTP/1.1"

    def __init__(self, connection: socket.socket, head: bytes, site: Site) -> None:
        self._head, self._site = head, site
        super().__init__(connection, ("viewer", 0), None)  # type: ignore[arg-type]

    def setup(self) -> None:
        """The head is there already."""
        super().setup()
        self.rfile.close()
        self.rfile = BytesIO(self._head)

    def handle(self) -> None:
        """One request for each connection."""
        self.close_connection = True
        if len(self._head) > MOST_HEAD:
            self.requestline = self.command = ""
            self.send_error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            return
        self.raw_requestline = self.rfile.readline()
        if not self.parse_request():
            return
        if self.command != "GET":
            self._send(_plain(HTTPStatus.METHOD_NOT_ALLOWED, "GET only", Allow="GET"))
            return
        try:
            asked = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(asked.query, max_num_fields=8).items()}
        except ValueError:
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        self._site.get(Request(asked.path, query, self.headers), self._send)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """A plain text that repeats nothing of what came."""
        self.request_version = self.protocol_version  # whatever came: this has a status
        self._send(_plain(HTTPStatus(code), HTTPStatus(code).phrase))

    def version_string(self) -> str:
        """No versions: they are the page's, for those who are let in."""
        return "edge-sdk"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the log is for the device."""

    def _send(self, reply: Reply) -> None:
        whole = reply.body if isinstance(reply.body, bytes) else None
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.kind)
        for name, value in {**_HEADERS, **reply.headers}.items():
            self.send_header(name, value)
        if whole is not None:
            self.send_header("Content-Length", str(len(whole)))
        self.end_headers()
        for part in (whole,) if whole is not None else reply.body:
            self.wfile.write(part)  # type: ignore[arg-type]


def _plain(status: HTTPStatus, text: str, **headers: str) -> Reply:
    return Reply(f"{text}\n".encode(), "text/plain; charset=utf-8", status, headers)


def _read_head(connection: socket.socket) -> bytes:
    """What comes before the empty line, within `_HEAD_S` in all; b"" where nobody says anything."""
    head, end_s = b"", monotonic() + _HEAD_S
    while b"\r\n\r\n" not in head and b"\n\n" not in head and len(head) <= MOST_HEAD:
        left_s = end_s - monotonic()
        if left_s <= 0:
            return b""
        connection.settimeout(left_s)
        part = connection.recv(4096)
        if not part:
            return b""
        head += part
    return head


def _say_goodbye(connection: socket.socket) -> None:
    """Let what was sent arrive: a socket that is closed with something unread in it throws it away."""
    connection.shutdown(socket.SHUT_WR)
    connection.settimeout(0.2)
    for _ in range(8):
        if not connection.recv(4096):
            return


def _listen(host: str, port: int) -> socket.socket:
    """Raises OSError."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(address)
        listener.listen(MOST_CONNECTIONS)
    except BaseException:
        listener.close()
        raise
    return listener


def _cut(one: socket.socket) -> None:
    with suppress(OSError):  # it was cut by the other side, or is closed
        one.shutdown(socket.SHUT_RDWR)


def _why(error: OSError, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"the port is taken: another program has it (`ss -ltnp sport = :{port}` names it)"
    if error.errno == errno.EADDRNOTAVAIL:
        return "the address is not this machine's (yet): `ip addr` tells those that it has"
    if error.errno == errno.EACCES:
        return "ports below 1024 are root's: take a higher one"
    return error.strerror or str(error)
