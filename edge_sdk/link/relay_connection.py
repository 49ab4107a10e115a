"""One connection through the relay: every chunk is paid for before it is written, and repeats as they happen."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

from edge_sdk.link.meter import SYN_BYTES, WireMeter
from edge_sdk.link.stall import Server, StallWatch
from edge_sdk.link.wire_account import WireAccount
from edge_sdk.security.proxy import LONGEST_HEAD

_log = logging.getLogger(__name__)

_CHUNK = 16_384
_SPARE_SEGMENTS = 3
_GUARD_S = 0.05
_DRAIN_S = 0.005
_CREDIT_S = 0.5
_HOLD_S = 1.0
_GOODBYE_S = 1.0
_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A proxy that is asked for the way to the server.

    Attributes:
        request: what it is asked.
        refusal: why its answer opens no way, for a person; empty: it opens one.
    """

    request: bytes
    refusal: Callable[[bytes], str]


class RelayConnection:
    """Copies between gRPC's socket and the server's. Lives in one asyncio loop.

    Args:
        account: charged for each byte.
        local: connected to gRPC; non-blocking.
        remote: connected to the server; non-blocking.
        server: where `remote` leads to: asked when the connection stands still; None: it may stand still.
        on_first: called with the first bytes that come from the server, before they are handed on; None: not called.
        on_trouble: called with the reason, before a connection is ended that stands still or that a proxy refuses;
            None: not called.
        tunnel: what a proxy at the other end is asked first; None: the server itself is there.
    """

    def __init__(
        self,
        account: WireAccount,
        local: socket.socket,
        remote: socket.socket,
        *,
        server: Server | None = None,
        on_first: Callable[[bytes], None] | None = None,
        on_trouble: Callable[[str], None] | None = None,
        tunnel: Tunnel | None = None,
    ) -> None:
        self._account = account
        self._local = local
        self._remote = remote
        self._on_first = on_first
        self._on_trouble = on_trouble or (lambda reason: None)
        self._tunnel = tunnel
        self._open = asyncio.Event()
        self._meter = WireMeter(remote)
        self._stall = None if server is None else StallWatch(self._meter, server)
        self._charged = SYN_BYTES  # paid before it was dialled
        self._wrote_s = time.monotonic()
        self._writing = asyncio.Event()

    async def run(self) -> None:
        """Copy both ways until both sides have ended, or one fails."""
        parts = self._out(), self._in(), self._guard(), self._watch()
        there, back, guard, watch = tasks = [asyncio.ensure_future(part) for part in parts]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if done == {there} and there.exception() is None:  # gRPC has closed: a last word
                with contextlib.suppress(OSError):
                    self._remote.shutdown(socket.SHUT_WR)
                await asyncio.wait((back, guard, watch), timeout=_GOODBYE_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._settle()
            # What is not acknowledged by now is not repeated: a reset, where an orderly end has not come.
            with contextlib.suppress(OSError):
                self._remote.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def _out(self) -> None:
        loop = asyncio.get_running_loop()
        most = min(_CHUNK, self._account.window)
        if self._tunnel is not None:
            await self._write(self._tunnel.request)
            await self._open.wait()
        while data := await loop.sock_recv(self._local, most):
            await self._write(data)

    async def _write(self, data: bytes) -> None:
        while data:
            size = await self._permit(len(data))
            await asyncio.get_running_loop().sock_sendall(self._remote, data[:size])
            self._meter.wrote(size)
            self._writing.set()
            self._wrote_s = time.monotonic()
            data = data[size:]

    async def _in(self) -> None:
        loop = asyncio.get_running_loop()
        data = b""
        if self._tunnel is not None:
            head, data = await self._read_head()
            if refusal := self._tunnel.refusal(head):
                self._on_trouble(refusal)
                return
        self._open.set()
        while data or (data := await self._read()):
            if self._on_first is not None:
                self._on_first(data)
                self._on_first = None
            await loop.sock_sendall(self._local, data)
            data = b""

    async def _read(self) -> bytes:
        data = await asyncio.get_running_loop().sock_recv(self._remote, _CHUNK)
        self._meter.received(len(data))
        self._settle()
        return data

    async def _read_head(self) -> tuple[bytes, bytes]:
        """What a proxy answers, and the first bytes from behind it."""
        head = b""
        while (end := head.find(_HEAD_END)) < 0 and len(head) < LONGEST_HEAD and (data := await self._read()):
            head += data
        return (head, b"") if end < 0 else (head[:end], head[end + len(_HEAD_END) :])

    async def _permit(self, n_bytes: int) -> int:
        """Wait until a chunk is paid for and the window has room for it; return how many of `n_bytes` it has.

        That is all of them, or one segment where the budget has little room.
        """
        account = self._account
        while True:
            waiting = self._meter.unacknowledged()
            if waiting and waiting + n_bytes > account.window:
                await asyncio.sleep(_DRAIN_S)
                continue
            on_wire = self._settle()
            credit = self._charged - on_wire
            if time.monotonic() - self._wrote_s > _CREDIT_S:
                self._charged, credit = on_wire, 0  # a payment of long ago does not pay for now
            for size in (n_bytes, min(n_bytes, self._meter.mss)):
                needed = self._meter.cost(size) - credit
                if account.spend(needed, self._beyond(size)):
                    self._charged += max(0, needed)
                    account.passed(self._meter.cost(size))
                    return size
            if waiting:
                await asyncio.sleep(_DRAIN_S)
            else:
                await asyncio.sleep(min(_HOLD_S, max(_DRAIN_S, account.wait_s(needed + self._beyond(size)))))

    def _settle(self) -> int:
        """Charge what the kernel has sent beyond the bytes paid for; return the bytes on the wire."""
        with contextlib.suppress(OSError):
            on_wire = self._meter.wire_bytes()
            self._account.charge(on_wire - self._charged)
            self._charged = max(self._charged, on_wire)
            return on_wire
        return self._charged

    def _beyond(self, n_bytes: int) -> int:
        if not self._account.limited:
            return 0
        at_risk = self._meter.unacknowledged() + n_bytes
        self._account.segment_bytes = self._meter.segment_bytes
        return self._meter.cost(at_risk) + min(_SPARE_SEGMENTS * self._meter.segment_bytes, at_risk)

    async def _watch(self) -> None:
        """Return when the connection stands still for good."""
        if self._stall is None:
            await asyncio.get_running_loop().create_future()
        else:
            self._on_trouble(await self._stall.stalled())

    async def _guard(self) -> None:
        """Charge retransmissions while bytes are unacknowledged; return when the budget has no room for more."""
        while True:
            await self._writing.wait()
            await asyncio.sleep(_GUARD_S)
            if not self._meter.unacknowledged():
                self._writing.clear()
            self._settle()
            if self._account.limited and self._account.wait_s(self._beyond(0)) > 0:
                _log.warning("the upload budget has no room for more retransmissions: the connection is reset")
                return
