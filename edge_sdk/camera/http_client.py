"""GET from a network camera: bounded in time, bytes and redirects, and past the environment's proxies."""

from __future__ import annotations

import fcntl
import http.client
import io
import re
import select
import socket
import ssl
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from edge_sdk.camera.http_auth import Authorization
from edge_sdk.camera.stream_address import StreamAddress
from edge_sdk.errors import CameraError, ConfigError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_REDIRECTS = 5
_TRIES = 4  # of one request: without a name, with it, with a fresh nonce, on a fresh connection
_CHUNK = 65536


class HttpClient:
    """Asks one camera for one address, again and again.

    A camera's certificate is not checked: nearly all have made theirs themselves. Where a camera offers digest, the
    password itself is never sent; it is never sent to another host.

    Args:
        address: what to ask for.
        timeout_s: of each step: a reply's header; a body, or a part of one, between two calls of `more_time`.
        clock: steady seconds.
    """

    def __init__(
        self, address: StreamAddress, *, timeout_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._clock = clock
        self._ends_s = 0.0
        self._here = address  # after redirects
        self._who = Authorization(address.user, address.password)
        self._connection: _Connection | None = None
        self._reply: http.client.HTTPResponse | None = None

    def get(self) -> http.client.HTTPResponse:
        """Ask; the reply with status 200, its body unread.

        Raises:
            CameraError: no reply in time, or another one.
        """
        here = self._address
        for _ in range(_REDIRECTS + 1):
            reply = self._ask(here)
            if reply.status in (301, 302, 303, 307, 308):
                here = self._redirected(here, reply.getheader("Location", ""))
                continue
            if reply.status != 200:
                raise CameraError(f"{self._address.name} answered {_status(reply.status)}")
            self._reply = reply
            return reply
        raise CameraError(f"{self._address.name} leads from one address to the next: over {_REDIRECTS} redirects")

    def body(self, max_bytes: int) -> bytes:
        """The rest of the last reply.

        Raises:
            CameraError: it is longer, is cut short, or takes too long.
        """
        reply = self._reply
        assert reply is not None
        parts: list[bytes] = []
        size = 0
        try:
            while part := reply.read(_CHUNK):
                parts.append(part)
                size += len(part)
                if size > max_bytes:
                    raise CameraError(f"{self._address.name} sent more than {max_bytes / 1e6:g} MB for one picture")
        except (OSError, http.client.HTTPException) as error:
            raise self.lost(error) from None
        if reply.length:  # what the header promised and did not come
            raise CameraError(f"{self._address.name} broke off: {reply.length} bytes of the picture are missing")
        return b"".join(parts)

    def more_time(self) -> None:
        """Give the next step the whole time-out."""
        self._ends_s = self._clock() + self._timeout_s

    def waiting_bytes(self) -> int:
        """How many bytes of the reply have arrived and wait to be read."""
        if self._reply is None or self._reply.isclosed() or self._connection is None:
            return 0
        return self._connection.waiting_bytes(self._reply.fp)

    def lost(self, error: Exception) -> CameraError:
        """What to raise when reading the reply fails."""
        if isinstance(error, TimeoutError):
            return CameraError(f"{self._address.name} is silent: nothing whole came within {self._timeout_s:g} s")
        if isinstance(error, OSError):  # http.client.RemoteDisconnected too
            reason = error.strerror or type(error).__name__
            return CameraError(f"{self._address.name} cannot be reached or hung up: {reason}")
        return CameraError(f"{self._address.name} gave no proper reply of HTTP ({type(error).__name__})")

    def interrupt(self) -> None:
        """End a read that waits, from another thread."""
        if (connection := self._connection) is not None:
            connection.shut()

    def close(self) -> None:
        """Close the connection."""
        if self._reply is not None:
            self._reply.close()
        if self._connection is not None:
            self._connection.end()
        self._reply = self._connection = None

    def _ask(self, here: StreamAddress) -> http.client.HTTPResponse:
        """One request and its reply, tried again with a name where the camera wants one."""
        is_own = (here.host, here.port) == (self._address.host, self._address.port)
        for _ in range(_TRIES):
            self.more_time()
            kept = self._connection is not None and self._here == here and self._is_free()
            try:
                if not kept:
                    self.close()
                    self._connection, self._here = _Connection(here, self._left), here
                reply = self._send(here, self._who.header("GET", here.target or "/") if is_own else None)
            except (OSError, http.client.HTTPException) as error:
                self.close()
                if kept and not isinstance(error, TimeoutError):
                    continue  # the camera ended a connection that it was free to end
                raise self.lost(error) from None
            if reply.status != 401:
                self._who.accepted()
                return reply
            self.close()
            if not (is_own and self._address.user):
                raise CameraError(f"{self._address.name} wants a user name and password (401)")
            if not self._who.take(reply.headers.get_all("WWW-Authenticate") or ()):
                break
        raise CameraError(f"{self._address.name} does not accept the user name or password (401)")

    def _send(self, here: StreamAddress, who: str | None) -> http.client.HTTPResponse:
        assert self._connection is not None
        headers = {"Host": here.place, "User-Agent": "edge-sdk", "Accept": "*/*", "Connection": "keep-alive"}
        self._connection.request("GET", here.target or "/", headers=headers | ({"Authorization": who} if who else {}))
        return self._connection.getresponse()

    def _is_free(self) -> bool:
        """Whether the last reply is read to its end, so that another request may follow."""
        return self._reply is None or self._reply.isclosed()

    def _left(self) -> float:
        left_s = self._ends_s - self._clock()
        if left_s <= 0:
            raise TimeoutError
        return left_s

    def _redirected(self, here: StreamAddress, location: str) -> StreamAddress:
        self.close()
        base = f"{here.scheme}://{here.place}{here.target}"
        try:
            url = urljoin(base, location.strip())
            found = StreamAddress.parse(re.sub(r"(?<=://)[^/?#]*@", "", url, count=1))
        except (ConfigError, ValueError):
            found = None
        if found is None or found.scheme not in ("http", "https"):
            raise CameraError(f"{self._address.name} leads to an address that cannot be used")
        return found


class _Connection(http.client.HTTPConnection):
    """A connection whose every read ends in time, however slowly bytes trickle in."""

    def __init__(self, address: StreamAddress, left: Callable[[], float]) -> None:
        super().__init__(address.host, address.port)
        self._scheme = address.scheme
        self._left = left
        self._plain: socket.socket | None = None
        self._timed: TimedSocket | None = None

    def connect(self) -> None:
        """Connect, encrypted for https."""
        plain = socket.create_connection((self.host, self.port), self._left())
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._scheme == "https":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            try:
                plain = context.wrap_socket(plain, server_hostname=self.host)
            except BaseException:
                plain.close()
                raise
        self._plain = plain
        self.sock = self._timed = TimedSocket(plain, self._left)

    def waiting_bytes(self, reader: io.BufferedReader) -> int:
        """Bytes that have arrived: in the reader's memory, and in the system's."""
        if self._plain is None or self._timed is None or self._timed.reader is None:
            return 0
        with self._timed.reader.without_waiting():
            here = len(reader.peek(1))
        there = bytearray(4)
        with suppress(OSError):
            fcntl.ioctl(self._plain.fileno(), termios.FIONREAD, there)
        return here + int.from_bytes(there, sys.byteorder)

    def end(self) -> None:
        """Close everything; `close` leaves a reply open that is still to be read."""
        self.close()
        if self._timed is not None:
            if self._timed.reader is not None:
                self._timed.reader.close()
            self._timed.close()

    def shut(self) -> None:
        """End whatever waits on it, from another thread."""
        if self._plain is not None:
            with suppress(OSError):
                self._plain.shutdown(socket.SHUT_RDWR)


class TimedSocket:
    """What http.client uses of a socket, each step bounded by what is left of the time."""

    def __init__(self, plain: socket.socket, left: Callable[[], float]) -> None:
        self._plain = plain
        self._left = left
        self.reader: _TimedReader | None = None

    def makefile(self, *_: Any) -> io.BufferedReader:
        """What comes in."""
        self.reader = _TimedReader(self._plain, self._left)
        return io.BufferedReader(self.reader)

    def sendall(self, data: Any) -> None:
        """Send all of it, or raise `TimeoutError`."""
        self._plain.settimeout(self._left())
        self._plain.sendall(data)

    def close(self) -> None:
        """Close the socket; the reader is closed by itself."""
        self._plain.close()


class _TimedReader(io.RawIOBase):
    def __init__(self, plain: socket.socket, left: Callable[[], float]) -> None:
        super().__init__()
        self._plain = plain
        self._raw = plain.makefile("rb", buffering=0)  # the socket stays open until both are closed
        self._left = left
        self._may_wait = True

    @contextmanager
    def without_waiting(self) -> Iterator[None]:
        """Reads within the block give what is there."""
        self._may_wait = False
        try:
            yield
        finally:
            self._may_wait = True

    def readable(self) -> bool:
        return True

    def readinto(self, into: WriteableBuffer) -> int | None:
        if not self._may_wait and not select.select([self._plain], (), (), 0)[0]:
            return None
        self._plain.settimeout(self._left())
        return self._raw.readinto(into)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _status(number: int) -> str:
    try:
        return f"{number} {HTTPStatus(number).phrase}"
    except ValueError:
        return str(number)
