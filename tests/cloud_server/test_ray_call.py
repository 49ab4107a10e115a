from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from cloud_server.ray_call import Ended, RayCall
from edge_sdk.wire import offload_pb2 as wire


class _Context:
    """What Ray hands to a replica."""

    def __init__(self) -> None:
        self.said: list[Any] = []

    def invocation_metadata(self) -> list[tuple[str, str]]:
        return [("authorization", "Bearer x")]

    def peer(self) -> str:
        return "ipv4:192.0.2.7:5"

    def set_code(self, code: grpc.StatusCode) -> None:
        self.said.append(code)

    def set_details(self, details: str) -> None:
        self.said.append(details)


async def _requests(count: int) -> AsyncIterator[wire.ClassifyRequest]:
    for number in range(count):
        yield wire.ClassifyRequest(frame_id=str(number))


def test_who_calls() -> None:
    call = RayCall(_Context(), _requests(0))
    assert call.invocation_metadata() == (("authorization", "Bearer x"),)
    assert call.peer() == "ipv4:192.0.2.7:5" and call.auth_context() == {}


async def test_a_stream_is_read_and_answered() -> None:
    async def echo(requests: Any, context: RayCall) -> None:
        while (request := await context.read()) is not grpc.aio.EOF:
            await context.write(wire.ClassifyReply(frame_id=request.frame_id))

    replies = [reply.frame_id async for reply in RayCall(_Context(), _requests(50)).served_by(echo)]
    assert replies == [str(number) for number in range(50)]


async def test_an_ended_call_has_its_status() -> None:
    async def refuse(requests: Any, context: RayCall) -> None:
        await context.write(wire.ClassifyReply(frame_id="last"))
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, "no token")

    context, replies = _Context(), []
    with pytest.raises(Ended, match="UNAUTHENTICATED: no token"):
        async for reply in RayCall(context, _requests(0)).served_by(refuse):
            replies.append(reply.frame_id)
    assert context.said == [grpc.StatusCode.UNAUTHENTICATED, "no token"]
    assert replies == ["last"]


async def test_a_write_waits_until_the_one_before_was_taken() -> None:
    call = RayCall(_Context(), _requests(0))
    await call.write(wire.ClassifyReply())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await call.write(wire.ClassifyReply())


async def test_a_device_that_leaves_ends_its_handler() -> None:
    ended = asyncio.Event()

    async def never(requests: Any, context: RayCall) -> None:
        try:
            await context.write(wire.ClassifyReply())
            await asyncio.Event().wait()
        finally:
            ended.set()

    replies: Any = RayCall(_Context(), _requests(0)).served_by(never)
    await anext(replies)
    await replies.aclose()
    assert ended.is_set()
