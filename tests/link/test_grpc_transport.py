"""The gRPC transport against a real server."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from edge_sdk.budget.ledger import Ledger
from edge_sdk.link.grpc_transport import GrpcTransport, is_retryable
from edge_sdk.link.relay import Relay
from edge_sdk.link.trace_parent import BYTES, HEADER, read_trace_parent
from edge_sdk.link.transport import Refusal, Reply, ServerInfo
from edge_sdk.link.wire_account import WireAccount
from edge_sdk.security.credentials import Denied, Security
from edge_sdk.security.tokens import new_token
from edge_sdk.store.frames import SpoolItem
from edge_sdk.testing.server import ScriptedServer, answer, failure
from edge_sdk.types import Region, new_frame_id
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc


@dataclass
class Direct:
    """A way without a relay: the server itself is dialled."""

    address: str
    trouble: str = ""
    doing: str = ""
    heard: bytes = b""


def item() -> SpoolItem:
    return SpoolItem(new_frame_id(), b"picture", np.array([0.5, 0.5], np.float32), 0.5, datetime.now(UTC), "test")


def transport(target: str, security: Security | None = None) -> GrpcTransport:
    return GrpcTransport(target, security or Security(), connect_timeout_s=30, reply_timeout_s=30)


async def test_a_reply_says_who_gave_it_and_a_refusal_whether_to_try_again() -> None:
    def script(request: wire.ClassifyRequest, _: object) -> wire.ClassifyReply:
        return answer(request) if request.frame_id == good.frame_id else failure(request, wire.Failure.TOO_LARGE, "big")

    good, bad = item(), item()
    with ScriptedServer(script) as server:
        async with transport(server.target).connect(Direct(server.target)) as connection:
            assert connection.server == ServerInfo("scripted", ("a", "b"), 1000)
            await connection.send(good)
            reply = await connection.receive()
            assert isinstance(reply, Reply)
            assert (reply.frame_id, reply.label, reply.macs) == (good.frame_id, "b", 1000)
            assert reply.server == connection.server
            assert reply.received_bytes > 0
            await connection.send(bad)
            assert await connection.receive() == Refusal(bad.frame_id, "big", retryable=False)
        assert [request.image for request in server.requests] == [b"picture"] * 2
        assert [request.wait_ms for request in server.requests] == [30_000] * 2


@pytest.mark.parametrize(
    ("exits", "place", "name"),
    [
        ((), 0, ""),  # a server without exits, and an older one
        (("blocks.1", "big model"), 1, "blocks.1"),
        (("blocks.1", "big model"), 2, "big model"),
        (("blocks.1", "big model"), 0, ""),
        (("blocks.1", "big model"), 3, ""),  # was not described
        (("blocks\n.1",), 1, r"blocks\n.1"),
    ],
)
async def test_a_reply_names_the_exit(exits: tuple[str, ...], place: int, name: str) -> None:
    def script(request: wire.ClassifyRequest, _: object) -> wire.ClassifyReply:
        reply = answer(request)
        reply.classification.exit = place
        return reply

    with ScriptedServer(script, exits=exits) as server:
        async with transport(server.target).connect(Direct(server.target)) as connection:
            await connection.send(item())
            reply = await connection.receive()
    assert isinstance(reply, Reply) and (reply.label, reply.exit) == ("b", name)


PROXY_VARIABLES = ("http_proxy", "https_proxy", "grpc_proxy", "all_proxy")


@pytest.mark.parametrize(
    "names",
    [*((name,) for name in PROXY_VARIABLES), tuple(map(str.upper, PROXY_VARIABLES)), ("GRPC_ADDRESS_HTTP_PROXY",)],
    ids="+".join,
)
async def test_a_proxy_of_the_environment_does_not_lead_past_the_relay(
    names: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy, ScriptedServer() as server, Ledger(tmp_path / "l") as ledger:
        proxy.setblocking(False)
        address = f"127.0.0.1:{proxy.getsockname()[1]}"
        for name in names:
            monkeypatch.setenv(name, address if name.startswith("GRPC_ADDRESS") else f"http://{address}")
        monkeypatch.setenv("GRPC_ADDRESS_HTTP_PROXY_ENABLED_ADDRESSES", "0.0.0.0/0,::/0")
        async with (
            Relay(server.target, WireAccount(ledger)) as relay,
            transport(server.target).connect(relay) as connection,
        ):
            await connection.send(item())
            assert isinstance(await connection.receive(), Reply)
        assert ledger.snapshot().bytes_sent > 500
        with pytest.raises(BlockingIOError):
            proxy.accept()


async def test_nobody_there_is_a_connection_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        target = f"127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(ConnectionError, match="no cloud server answers"):
        async with transport(target).connect(Direct(target, trouble=f"no cloud server answers at {target}")):
            pass


async def test_a_token_that_is_not_known_is_a_denial(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(new_token())
    path.chmod(0o600)
    with ScriptedServer(token=new_token()) as server, pytest.raises(Denied, match="no such token"):
        async with transport(server.target, Security(token_file=path)).connect(Direct(server.target)):
            pass


def test_estimates_grow_with_what_is_sent() -> None:
    small, large = item(), SpoolItem(new_frame_id(), bytes(10_000), np.zeros(2, np.float32), 0.5, datetime.now(UTC), "")
    one = transport("127.0.0.1:9")
    assert one.frame_bytes(large) > one.frame_bytes(small) + 9_000
    assert one.opening_bytes > 0


@pytest.mark.parametrize(
    ("code", "flag", "again"),
    [
        (wire.Failure.BAD_IMAGE, None, False),
        (wire.Failure.OVERLOADED, None, True),
        (wire.Failure.UNKNOWN, None, True),
        (99, None, True),
        (99, False, False),
        (wire.Failure.BAD_IMAGE, True, True),
    ],
)
def test_the_flag_counts_and_without_it_the_code(code: wire.Failure.Code, flag: bool | None, again: bool) -> None:
    said = wire.Failure(code=code)
    if flag is not None:
        said.retryable = flag
    assert is_retryable(said) == again


async def test_a_region_travels_and_a_server_that_looks_twice_is_charged_twice_for_it() -> None:
    plain, moved = item(), replace(item(), region=Region(3, 4, 50, 60, 0.5, held=True))
    for looks_twice in (False, True):
        with ScriptedServer(looks_twice=looks_twice) as server:
            carrier = transport(server.target)
            assert carrier.frame_bytes(moved) > carrier.frame_bytes(plain)
            async with carrier.connect(Direct(server.target)) as connection:
                for one in (plain, moved):
                    await connection.send(one)
                    await connection.receive()
                charged = [connection.server.macs_of(one) for one in (plain, moved)]
        assert charged == [1000, 2000 if looks_twice else 1000]
        assert [request.HasField("region") for request in server.requests] == [False, True]
        assert server.requests[1].region == wire.Region(x=3, y=4, width=50, height=60)


@pytest.mark.parametrize("reads", [False, True])
async def test_probabilities_leave_only_for_a_server_that_reads_them(reads: bool) -> None:
    frame = item()
    frame = replace(frame, probabilities=np.full(1000, 0.001, np.float32))
    with ScriptedServer(reads_probabilities=reads) as server:
        carrier = transport(server.target)
        assert carrier.frame_bytes(frame) > 4000  # from above, while it is not known
        async with carrier.connect(Direct(server.target)) as connection:
            await connection.send(frame)
            await connection.receive()
        assert (carrier.frame_bytes(frame) > 4000) == reads
    (request,) = server.requests
    assert len(request.probabilities) == (1000 if reads else 0)
    assert (request.ByteSize() > 4000) == reads


@pytest.mark.parametrize("trace", [False, True])
async def test_a_stream_names_a_trace_where_it_is_wanted(trace: bool) -> None:
    """The server gets the header with the stream, and its bytes are in the estimate."""
    plain = GrpcTransport("127.0.0.1:1", Security(), connect_timeout_s=30, reply_timeout_s=30)
    traced = GrpcTransport("127.0.0.1:1", Security(), connect_timeout_s=30, reply_timeout_s=30, trace=trace)
    assert traced.opening_bytes - plain.opening_bytes == (BYTES if trace else 0)
    seen: list[dict[str, str]] = []
    begun = asyncio.Event()

    class Server(wire_grpc.OffloadServicer):  # type: ignore[misc]
        async def Describe(self, request: object, context: object) -> wire.Description:
            return wire.Description(model="m", labels=["a"])

        async def Stream(self, requests: object, context: Any) -> None:
            seen.append(dict(context.invocation_metadata()))
            begun.set()
            await context.read()

    server = grpc.aio.server()
    wire_grpc.add_OffloadServicer_to_server(Server(), server)
    target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    transport = GrpcTransport(target, Security(), connect_timeout_s=30, reply_timeout_s=30, trace=trace)
    async with transport.connect(Direct(target)):
        await begun.wait()
    await server.stop(None)
    assert (read_trace_parent(seen[0].get(HEADER, "")) is not None) == trace
