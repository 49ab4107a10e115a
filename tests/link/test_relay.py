"""The relay between gRPC and the wire, on real sockets."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_sdk.budget.ledger import Ledger
from edge_sdk.budget.limits import Budget, Resource
from edge_sdk.link.dialler import Dialler
from edge_sdk.link.relay import Relay
from edge_sdk.link.wire_account import WireAccount


class Sink:
    """A server that takes what comes and answers with `reply`."""

    def __init__(self, reply: bytes = b"") -> None:
        self.reply = reply
        self.received = bytearray()
        self.connections = 0

    async def __aenter__(self) -> Sink:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.target = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while data := await reader.read(65_536):
                self.received += data
                writer.write(self.reply)
        except ConnectionError:
            pass
        finally:
            writer.close()


async def dial(relay: Relay) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_unix_connection(relay.address.replace("unix-abstract:", "\0").removeprefix("unix:"))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(600):
        while not condition():  # noqa: ASYNC110 - the socket is another task
            await asyncio.sleep(0)


class KeepingDialler(Dialler):
    """Keeps the connection that it makes, so that the kernel can still be asked when the relay is done with it."""

    async def connect(self) -> socket.socket:
        remote = await super().connect()
        self.kept = remote.dup()
        return remote

    def repeated_bytes(self) -> int:
        """Payload that the kernel sent more than once: on a busy machine acknowledgements are late."""
        if not sys.platform.startswith("linux"):
            return 0
        info = self.kept.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        return int(struct.unpack_from("=Q", info, 208)[0])


async def test_what_passes_is_charged_with_its_headers_and_repeats(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        account = WireAccount(ledger)
        async with Sink(b"x" * 1000) as sink:
            host, _, port = sink.target.rpartition(":")
            dialler = KeepingDialler(host, int(port), account, timeout_s=30)
            async with Relay(sink.target, account, dialler=dialler) as relay:
                reader, writer = await dial(relay)
                writer.write(b"a" * 100_000)
                assert await reader.readexactly(1000)
                await until(lambda: len(sink.received) == 100_000)
                writer.close()
                await writer.wait_closed()
            with dialler.kept:
                repeated = dialler.repeated_bytes()
        charged = ledger.snapshot().bytes_sent
    assert 100_000 + repeated < charged < 106_000 + 1.1 * repeated
    assert bytes(sink.received) == b"a" * 100_000


async def test_bytes_that_the_budget_does_not_pay_for_stay_here(tmp_path: Path) -> None:
    limit = 60_000
    with Ledger(tmp_path / "ledger.db", budgets=[Budget(limit, 86_400)]) as ledger:
        account = WireAccount(ledger)
        async with Sink() as sink, Relay(sink.target, account) as relay:
            _, writer = await dial(relay)
            writer.write(b"a" * 500_000)
            await until(lambda: len(sink.received) > limit // 2)
            await until(lambda: ledger.wait_s(upload=2 * account.reserve) > 0)
            writer.transport.abort()
        assert limit // 2 < len(sink.received) < ledger.snapshot().spent(Resource.UPLOAD) <= limit


async def test_a_budget_that_pays_for_no_connection_opens_none(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db", budgets=[Budget(500, 86_400)]) as ledger:
        async with Sink() as sink, Relay(sink.target, WireAccount(ledger)) as relay:
            reader, writer = await dial(relay)
            writer.write(b"a")
            with pytest.raises(ConnectionResetError):  # closed with the byte unread
                assert await reader.read() == b""
                raise ConnectionResetError
            writer.close()
        assert sink.connections == 0
        assert ledger.snapshot().bytes_sent == 0


async def test_a_server_that_is_not_there_closes_the_local_side(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with Ledger(tmp_path / "ledger.db") as ledger:
        async with Relay(f"127.0.0.1:{port}", WireAccount(ledger)) as relay:
            reader, writer = await dial(relay)
            assert await reader.read() == b""
            writer.close()
        assert ledger.snapshot().bytes_sent > 0


async def test_energy_is_charged_with_the_bytes(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db", budgets=[Budget(10**9, 60, Resource.ENERGY)]) as ledger:
        async with Sink() as sink, Relay(sink.target, WireAccount(ledger, joules_per_byte=2e-6)) as relay:
            _, writer = await dial(relay)
            writer.write(b"a" * 10_000)
            await until(lambda: len(sink.received) == 10_000)
            writer.close()
        account = ledger.snapshot()
        assert account.spent(Resource.ENERGY) == pytest.approx(2 * account.bytes_sent, abs=20)


_STRANGER = """
import os, socket, sys
os.setuid(65534)
with socket.socket(socket.AF_UNIX) as one:
    one.connect("\\0" + sys.argv[1])
    try:
        one.sendall(b"a")
        sys.exit(one.recv(1) != b"")
    except ConnectionError:
        pass
"""


@pytest.mark.skipif(
    not (sys.platform.startswith("linux") and os.getuid() == 0), reason="needs root: it takes two users"
)
async def test_no_other_user_spends_the_budget(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        async with Sink() as sink, Relay(sink.target, WireAccount(ledger)) as relay:
            name = relay.address.removeprefix("unix-abstract:")
            stranger = await asyncio.create_subprocess_exec(sys.executable, "-c", _STRANGER, name)
            assert await stranger.wait() == 0
        assert sink.connections == 0
        assert ledger.snapshot().bytes_sent == 0
