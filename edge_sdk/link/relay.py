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
import contextlib
import logging
import os
import secrets
import socket
import struct
import sys
import tempfile
import time
from collections import OrderedDict
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Self

from edge_sdk.budget.ledger import Ledger
from edge_sdk.budget.limits import Resource
from edge_sdk.durable.clock import current_boot_id
from edge_sdk.link.meter import CONNECT_BYTES, END_BYTES, SYN_BYTES, SYN_TRIES, WireMeter, interface_bytes

_log = logging.getLogger(__name__)

_CHUNK = 16_384
_WINDOW = 65_536
_WINDOW_SHARE = 16
_SPARE_SEGMENTS = 3
_GUARD_S = 0.05
_DRAIN_S = 0.005
_CREDIT_S = 0.5
_HOLD_S = 1.0
_GOODBYE_S = 1.0
_INTERFACE_NOTE = "interface"
_LINUX = sys.platform.startswith("linux")


class Relay:
    """Copies between a local socket and a server, within the ledger's upload budget. Lives in one asyncio loop.

    Args:
        target: the server, `host:port`.
        ledger: charged for each byte.
        interface: network interface whose counter is reconciled with the ledger; None: none.
        timeout_s: unacknowledged data ends the connection after so many seconds.
        joules_per_byte: energy charged with each byte.

    Attributes:
        unreachable: whether the latest try to reach the server failed.
    """

    def __init__(
        self,
        target: str,
        ledger: Ledger,
        *,
        interface: str | None = None,
        timeout_s: float = 30.0,
        joules_per_byte: float = 0.0,
    ) -> None:
        host, _, port = target.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._ledger = ledger
        self._interface = interface
        self._timeout_s = timeout_s
        self._energy = joules_per_byte * 1e6
        self._limit = ledger.limit(Resource.UPLOAD)
        self._counted = 0  # bytes charged since the last look at the interface, less what has left since
        self._seen: int | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self.unreachable = False
        self.segment_bytes = 1_600
        self._promised: OrderedDict[str, int] = OrderedDict()

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

    @property
    def reserve(self) -> int:
        """Room that the upload budget must have beyond what is sent: for acknowledgements and repeats."""
        return 0 if self._limit is None else 2 * min(self.segment_bytes, self._window) + END_BYTES

    def room_for(self, n_bytes: int) -> float:
        """Seconds until `n_bytes` more fit, beside what is promised and the reserve: 0 if now, infinity if never."""
        return self._ledger.wait_s(upload=sum(self._promised.values()) + n_bytes + self.reserve)

    def promise(self, frame_id: str, n_bytes: int) -> None:
        """A frame was given to gRPC: its bytes are on their way here, and no others may count on their room."""
        self._promised[frame_id] = n_bytes

    def fulfil(self, frame_id: str) -> None:
        """A frame has been answered: its bytes, and those promised before it, have passed."""
        while frame_id in self._promised:
            self._promised.popitem(last=False)

    def forget_promises(self) -> None:
        """No promised bytes will come any more: the connection that they were meant for has ended."""
        self._promised.clear()

    def passed(self, n_bytes: int) -> None:
        """Bytes were paid for: those of the frames that were promised first."""
        while n_bytes > 0 and self._promised:
            first = next(iter(self._promised))
            taken = min(n_bytes, self._promised[first])
            n_bytes -= taken
            self._promised[first] -= taken
            if self._promised[first]:
                return
            del self._promised[first]

    def reconcile(self) -> None:
        """Charge what the interface has sent beyond what was charged here: other programs' bytes, or ours unseen."""
        if self._interface is None or (sent := interface_bytes(self._interface)) is None:
            return
        boot = current_boot_id()
        if self._seen is None:  # what has left since an earlier run of this boot counts too
            known = (self._ledger.recall(_INTERFACE_NOTE) or b"").decode().rpartition(" ")
            self._seen = int(known[2]) if known[0] == boot and known[2].isdigit() else sent
        unseen = sent - self._seen - self._counted if sent >= self._seen else 0
        if unseen > 0:
            self._ledger.charge(upload=unseen)
        self._counted = min(_WINDOW, max(0, -unseen))  # paid for, still in the machine
        self._seen = sent
        self._ledger.remember(_INTERFACE_NOTE, f"{boot} {sent}".encode())

    @property
    def _window(self) -> int:
        return _WINDOW if self._limit is None else max(2_048, min(_WINDOW, self._limit // _WINDOW_SHARE))

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
                await _Connection(self, local, remote).run()

    async def _dial(self) -> socket.socket:
        """A connected socket, paid for."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        failure: OSError = ConnectionError(f"{self._host} has no address")
        for family, kind, protocol, _, address in found:
            if not self.spend(CONNECT_BYTES + END_BYTES, self.reserve):
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

    def spend(self, n_bytes: int, beyond: int) -> bool:
        """Charge `n_bytes` if that leaves room for `beyond` more."""
        if n_bytes <= 0:
            return True
        self.reconcile()
        if self._ledger.wait_s(upload=n_bytes + beyond) > 0:
            return False
        if not self._ledger.try_spend(upload=n_bytes, **self._joules(n_bytes)):
            return False
        self._counted += n_bytes
        return True

    def charge(self, n_bytes: int) -> None:
        """Charge what has left already."""
        if n_bytes > 0:
            self._ledger.charge(upload=n_bytes, **self._joules(n_bytes))
            self._counted += n_bytes

    def wait_s(self, n_bytes: int) -> float:
        """Seconds until `n_bytes` fit."""
        return self._ledger.wait_s(upload=n_bytes, **self._joules(n_bytes))

    def _joules(self, n_bytes: int) -> dict[str, int]:
        return {"energy": round(n_bytes * self._energy)} if self._energy else {}


def _is_own(local: socket.socket) -> bool:
    """Whether this user's process dials: no other may spend the budget."""
    if not _LINUX:
        return True  # the folder lets no one else in
    _, user, _ = struct.unpack("3i", local.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return bool(user == os.getuid())


class _Connection:
    """One connection through the relay."""

    def __init__(self, relay: Relay, local: socket.socket, remote: socket.socket) -> None:
        self._relay = relay
        self._local = local
        self._remote = remote
        self._meter = WireMeter(remote)
        self._charged = SYN_BYTES  # paid before it was dialled
        self._wrote_s = time.monotonic()
        self._writing = asyncio.Event()

    async def run(self) -> None:
        """Copy both ways until both sides have ended, or one fails."""
        there, back, guard = (asyncio.ensure_future(part) for part in (self._out(), self._in(), self._guard()))
        try:
            await asyncio.wait((there, back, guard), return_when=asyncio.FIRST_COMPLETED)
            if there.done() and there.exception() is None and not guard.done():  # gRPC has closed: a last word
                with contextlib.suppress(OSError):
                    self._remote.shutdown(socket.SHUT_WR)
                await asyncio.wait((back, guard), timeout=_GOODBYE_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for part in (there, back, guard):
                part.cancel()
            await asyncio.gather(there, back, guard, return_exceptions=True)
            self._settle()
            # What is not acknowledged by now is not repeated: a reset, where an orderly end has not come.
            with contextlib.suppress(OSError):
                self._remote.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def _out(self) -> None:
        loop = asyncio.get_running_loop()
        most = min(_CHUNK, self._relay._window)
        while data := await loop.sock_recv(self._local, most):
            while data:
                size = await self._permit(len(data))
                await loop.sock_sendall(self._remote, data[:size])
                self._meter.wrote(size)
                self._writing.set()
                self._wrote_s = time.monotonic()
                data = data[size:]

    async def _in(self) -> None:
        loop = asyncio.get_running_loop()
        while data := await loop.sock_recv(self._remote, _CHUNK):
            self._meter.received(len(data))
            self._settle()
            await loop.sock_sendall(self._local, data)

    async def _permit(self, n_bytes: int) -> int:
        """How many of `n_bytes` may be written now; returns when they are paid for and few are unacknowledged.

        Where the budget has little room, one segment goes at a time, so that the reserve may be small.
        """
        relay = self._relay
        while True:
            waiting = self._meter.unacknowledged()
            if waiting and waiting + n_bytes > relay._window:
                await asyncio.sleep(_DRAIN_S)
                continue
            on_wire = self._settle()
            credit = self._charged - on_wire
            if time.monotonic() - self._wrote_s > _CREDIT_S:
                self._charged, credit = on_wire, 0  # a payment of long ago does not pay for now
            for size in (n_bytes, min(n_bytes, self._meter.mss)):
                needed = self._meter.cost(size) - credit
                if relay.spend(needed, self._beyond(size)):
                    self._charged += max(0, needed)
                    relay.passed(self._meter.cost(size))
                    return size
            if waiting:
                await asyncio.sleep(_DRAIN_S)
            else:
                await asyncio.sleep(min(_HOLD_S, max(_DRAIN_S, relay.wait_s(needed + self._beyond(size)))))

    def _settle(self) -> int:
        """Charge what the kernel has sent beyond what was paid; return what is on the wire."""
        with contextlib.suppress(OSError):
            on_wire = self._meter.wire_bytes()
            self._relay.charge(on_wire - self._charged)
            self._charged = max(self._charged, on_wire)
            return on_wire
        return self._charged

    def _beyond(self, n_bytes: int) -> int:
        if self._relay._limit is None:
            return 0
        at_risk = self._meter.unacknowledged() + n_bytes
        self._relay.segment_bytes = self._meter.segment_bytes
        return self._meter.cost(at_risk) + min(_SPARE_SEGMENTS * self._meter.segment_bytes, at_risk)

    async def _guard(self) -> None:
        """Charge repeats while data waits for its acknowledgement; return when they can no longer be paid for."""
        while True:
            await self._writing.wait()
            await asyncio.sleep(_GUARD_S)
            if not self._meter.unacknowledged():
                self._writing.clear()
            self._settle()
            if self._relay._limit is not None and self._relay.wait_s(self._beyond(0)) > 0:
                _log.warning("the upload budget does not pay for more repeats: the connection is reset")
                return
