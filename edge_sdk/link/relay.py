"""The last place before the wire: every byte between gRPC and the server passes here, and is paid for before it leaves.

gRPC dials a socket in the file system; the relay dials the server and copies. So request bodies, framing, TLS
handshakes, pings and reconnects are all counted, whoever caused them, and what the kernel adds (headers,
acknowledgements, retransmissions) is read from it. The rules:

- a chunk is written only when the ledger has paid for it, and has room beyond it for what may have to be repeated;
- at most `window` bytes may be unacknowledged, so that this reserve is small;
- repeats and acknowledgements are charged as the kernel reports them; if the reserve no longer covers what is
  unacknowledged, the connection is reset, which ends its retransmissions.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import struct
import sys
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Self

from edge_sdk.link.meter import CONNECT_BYTES, END_BYTES, SYN_TRIES
from edge_sdk.link.relay_connection import RelayConnection
from edge_sdk.link.wire_account import WireAccount

_log = logging.getLogger(__name__)

_LINUX = sys.platform.startswith("linux")


class Relay:
    """Copies between a local socket and a server, within the upload budget. Lives in one asyncio loop.

    Args:
        target: the server, `host:port`.
        account: charged for each byte.
        timeout_s: seconds after which unacknowledged data ends a connection.

    Attributes:
        address: what a transport dials instead of the server, "unix-abstract:NAME" or "unix:PATH".
        unreachable: whether the latest try to reach the server failed.
    """

    def __init__(self, target: str, account: WireAccount, *, timeout_s: float = 30.0) -> None:
        host, _, port = target.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._account = account
        self._timeout_s = timeout_s
        self._tasks: set[asyncio.Task[None]] = set()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self.unreachable = False

    async def __aenter__(self) -> Self:
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        if _LINUX:  # no file, so that a kill leaves none behind; who dials is checked below
            name = f"edge-sdk-{secrets.token_hex(16)}"
            self._server.bind(f"\0{name}")
            self.address = f"unix-abstract:{name}"
        else:
            self._folder = tempfile.TemporaryDirectory(prefix="edge-sdk-")
            path = Path(self._folder.name, "relay")
            self._server.bind(str(path))
            self.address = f"unix:{path}"
        self._server.listen()
        self._server.setblocking(False)
        self._spawn(self._accept())
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._server.close()
        if self._folder is not None:
            self._folder.cleanup()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            local, _ = await loop.sock_accept(self._server)
            if _is_own(local):
                self._spawn(self._serve(local))
            else:
                local.close()

    async def _serve(self, local: socket.socket) -> None:
        with local:
            try:
                remote = await self._dial()
            except OSError as error:
                _log.debug("cannot reach %s:%d: %s", self._host, self._port, error)
                self.unreachable = True
                return
            self.unreachable = False
            with remote:
                await RelayConnection(self._account, local, remote).run()

    async def _dial(self) -> socket.socket:
        """A connected socket, paid for."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        failure: OSError = ConnectionError(f"{self._host} has no address")
        for family, kind, protocol, _, address in found:
            if not self._account.spend(CONNECT_BYTES + END_BYTES, self._account.reserve):
                raise ConnectionError("the upload budget does not pay for a connection")
            remote = socket.socket(family, kind, protocol)
            try:
                remote.setblocking(False)
                remote.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if _LINUX:
                    remote.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, SYN_TRIES - 1)
                    remote.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(1000 * self._timeout_s))
                await loop.sock_connect(remote, address)
                return remote
            except OSError as error:
                failure = error
                remote.close()
            except BaseException:
                remote.close()
                raise
        raise failure


def _is_own(local: socket.socket) -> bool:
    """Whether this user's process dials: no other may spend the budget."""
    if not _LINUX:
        return True  # the folder lets no one else in
    _, user, _ = struct.unpack("3i", local.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return bool(user == os.getuid())
