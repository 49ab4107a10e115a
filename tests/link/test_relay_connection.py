"""One connection through the relay, on real sockets: copies, payments, proxies, and its end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from edge_sdk.budget.ledger import Ledger
from edge_sdk.link.relay_connection import RelayConnection, Tunnel
from edge_sdk.link.wire_account import WireAccount
from edge_sdk.security.proxy import HttpProxy

PROXY = HttpProxy("proxy", 3128, "cam:secret")
TUNNEL = Tunnel(PROXY.request("vm:1"), partial(PROXY.refusal, target="vm:1"))


class Ends:
    """A running connection and both of its outer ends: gRPC's and the server's."""

    def __init__(self, device: socket.socket, server: socket.socket, ledger: Ledger) -> None:
        self.device, self.server, self.ledger = device, server, ledger
        self.troubles: list[str] = []
        self.first: list[bytes] = []

    async def read(self, end: socket.socket, n_bytes: int) -> bytes:
        data = b""
        while len(data) < n_bytes and (more := await asyncio.get_running_loop().sock_recv(end, n_bytes - len(data))):
            data += more
        return data

    async def write(self, end: socket.socket, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(end, data)


Connect = Callable[..., AbstractAsyncContextManager[Ends]]


@pytest.fixture
def connected(tmp_path: Path) -> Connect:
    @asynccontextmanager
    async def connect(tunnel: Tunnel | None = None) -> AsyncIterator[Ends]:
        device, local = socket.socketpair()
        with (
            Ledger(tmp_path / "ledger.db") as ledger,
            socket.create_server(("127.0.0.1", 0)) as listener,
            socket.create_connection(listener.getsockname()) as remote,
            listener.accept()[0] as server,
            device,
            local,
        ):
            for one in (device, local, remote, server):
                one.setblocking(False)
            ends = Ends(device, server, ledger)
            connection = RelayConnection(
                WireAccount(ledger),
                local,
                remote,
                on_first=ends.first.append,
                on_trouble=ends.troubles.append,
                tunnel=tunnel,
            )

            async def run() -> None:
                await connection.run()
                local.close()
                remote.close()

            running = asyncio.create_task(run())
            async with asyncio.timeout(600):
                yield ends
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    return connect


async def test_bytes_pass_both_ways_and_the_first_ones_are_told(connected: Connect) -> None:
    async with connected() as ends:
        await ends.write(ends.device, b"question")
        assert await ends.read(ends.server, 8) == b"question"
        await ends.write(ends.server, b"answer")
        assert await ends.read(ends.device, 6) == b"answer"
        assert ends.first == [b"answer"]
        assert ends.ledger.snapshot().bytes_sent > 8


async def test_when_the_device_ends_the_server_still_has_the_last_word(connected: Connect) -> None:
    async with connected() as ends:
        await ends.write(ends.device, b"bye")
        ends.device.shutdown(socket.SHUT_WR)
        assert await ends.read(ends.server, 4) == b"bye"
        await ends.write(ends.server, b"good bye")
        assert await ends.read(ends.device, 8) == b"good bye"


async def test_a_proxy_is_asked_first_and_what_comes_behind_its_answer_passes(connected: Connect) -> None:
    async with connected(TUNNEL) as ends:
        await ends.write(ends.device, b"question")
        assert await ends.read(ends.server, len(TUNNEL.request)) == TUNNEL.request
        for part in (b"HTTP/1.1 200 Connection ", b"established\r\nVia: a proxy\r\n\r", b"\nhello"):
            await ends.write(ends.server, part)
        assert await ends.read(ends.server, 8) == b"question"
        assert await ends.read(ends.device, 5) == b"hello"
        assert ends.first == [b"hello"]
        assert ends.ledger.snapshot().bytes_sent > len(TUNNEL.request) + 8


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"HTTP/1.1 407 Who are you?\r\n\r\n", "does not accept the user and password given"),
        (b"HTTP/1.1 503 no\r\n\r\n", "opens no way to vm:1 (HTTP/1.1 503 no)"),
        (b"x" * 10_000, "is no HTTP proxy"),
    ],
)
async def test_a_proxy_that_refuses_gets_nothing_and_is_told(connected: Connect, said: bytes, words: str) -> None:
    async with connected(TUNNEL) as ends:
        await ends.write(ends.device, b"question")
        await ends.read(ends.server, len(TUNNEL.request))
        await ends.write(ends.server, said)
        with suppress(ConnectionResetError):
            assert await ends.read(ends.device, 1) == b""
        assert len(ends.troubles) == 1
        assert words in ends.troubles[0]
        assert "secret" not in ends.troubles[0]
        with suppress(ConnectionResetError):
            assert await ends.read(ends.server, 1) == b""
