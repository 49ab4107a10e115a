"""The last place before the wire: every byte to the server passes here and is paid for before it leaves.

gRPC dials a local socket; the relay dials the server and copies. So request bodies, framing, TLS handshakes, pings and
reconnects are all counted, and the kernel reports what it adds: headers, acknowledgements, retransmissions. The rules:

- A chunk is written only after the ledger has paid for it. The budget must also have room for its retransmission.
- At most `window` bytes may be unacknowledged, so that this reserve is small.
- Retransmissions and acknowledgements are charged as the kernel reports them. If the reserve no longer covers the
  unacknowledged bytes, the connection is reset, which ends its retransmissions.
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
import time
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from typing import Any, Self

from edge_sdk.link.descriptors import FULL_TABLE, TOO_MANY_FILES
from edge_sdk.link.dialler import Dialler
from edge_sdk.link.relay_connection import RelayConnection, Tunnel
from edge_sdk.link.wire_account import WireAccount
from edge_sdk.security.proxy import HttpProxy

_log = logging.getLogger(__name__)

_FULL_S = 0.5
_SHORT_S = 10.0
_HEARD_BYTES = 1_024
_LINUX = sys.platform.startswith("linux")


class Relay:
    """Copies between a local socket and a server, within the upload budget. Lives in one asyncio loop.

    Args:
        target: the server, `host:port`.
        account: charged for each byte.
        timeout_s: seconds after which unacknowledged data ends a connection.
        dialler: connects to the server; None: one for `target`, or for the proxy.
        proxy: leads to the server; None: it is dialled itself.

    Attributes:
        address: what a transport dials instead of the server, "unix-abstract:NAME" or "unix:PATH".
        trouble: why the latest connection failed, as far as the relay knows; empty while none has.
        heard: the first bytes that came on the latest connection.
    """

    def __init__(
        self,
        target: str,
        account: WireAccount,
        *,
        timeout_s: float = 30.0,
        dialler: Dialler | None = None,
        proxy: HttpProxy | None = None,
    ) -> None:
        host, _, port = target.rpartition(":")
        where, what, tunnel = (host.strip("[]"), int(port)), "cloud server", None
        if proxy is not None:
            where, what = (proxy.host, proxy.port), "proxy"
            tunnel = Tunnel(proxy.request(target), partial(proxy.refusal, target=target))
        self._account = account
        self._dialler = dialler or Dialler(*where, account, timeout_s=timeout_s, what=what)
        self._tunnel = tunnel
        self._tasks: set[asyncio.Task[None]] = set()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self.trouble = ""
        self.heard = b""
        self._connected = False

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

    @property
    def doing(self) -> str:
        """What the latest connection waits for now, for a person."""
        return self.trouble or self._dialler.doing

    @property
    def longest_idle_s(self) -> float:
        """Seconds after which a silent connection is likely to be forgotten on the way; infinity: unknown."""
        return self._dialler.longest_idle_s

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                local, _ = await loop.sock_accept(self._server)
            except OSError as error:  # who dials waits in the socket's queue meanwhile
                self.trouble = TOO_MANY_FILES if error.errno in FULL_TABLE else f"no connection can be taken: {error}"
                _log.debug("the relay takes no connection: %s", error)
                await asyncio.sleep(_FULL_S)
                continue
            if _is_own(local):
                self._spawn(self._serve(local))
            else:
                local.close()

    async def _serve(self, local: socket.socket) -> None:
        self.trouble, self.heard, self._connected = "", b"", False
        with local:
            try:
                remote = await self._dialler.connect()
            except OSError as error:
                _log.debug("no connection: %s", error)
                self.trouble = str(error)
                return
            begin_s, self._connected = time.monotonic(), True
            with remote:
                connection = RelayConnection(
                    self._account,
                    local,
                    remote,
                    server=self._dialler,
                    on_first=self._hear,
                    on_trouble=self._tell,
                    tunnel=self._tunnel,
                )
                await connection.run()
            if time.monotonic() - begin_s < _SHORT_S:
                self._dialler.forget()  # it may be that a stranger answers under the server's name

    def unanswered(self) -> None:
        """Note that the server did not answer in time: it may be that its packets are too large for the way back."""
        if self._connected:
            self._dialler.suspect()

    def _tell(self, trouble: str) -> None:
        self.trouble = trouble

    def _hear(self, data: bytes) -> None:
        self.heard = data[:_HEARD_BYTES]


def _is_own(local: socket.socket) -> bool:
    """Whether this user's process dials: no other may spend the budget."""
    if not _LINUX:
        return True  # the folder lets no one else in
    _, user, _ = struct.unpack("3i", local.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return bool(user == os.getuid())
