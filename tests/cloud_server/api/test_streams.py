from __future__ import annotations

import asyncio

import grpc
import pytest

from cloud_server.api.streams import OpenCalls, serve_stream
from edge_sdk.wire import offload_pb2 as wire


class Context:
    """One side of a stream: `read` gives what the test puts in, `write` collects."""

    def __init__(self, *frame_ids: str) -> None:
        self.requests: asyncio.Queue[object] = asyncio.Queue()
        for frame_id in frame_ids:
            self.requests.put_nowait(wire.ClassifyRequest(frame_id=frame_id))
        self.written: list[str] = []
        self.reads = 0

    async def read(self) -> object:
        request = await self.requests.get()
        self.reads += 1
        return request

    async def write(self, reply: wire.ClassifyReply) -> None:
        self.written.append(reply.frame_id)


async def answer(request: wire.ClassifyRequest) -> wire.ClassifyReply:
    return wire.ClassifyReply(frame_id=request.frame_id)


async def test_replies_come_as_they_are_ready_within_the_window() -> None:
    context, gates = Context(*"abcd"), {name: asyncio.Event() for name in "abcd"}
    context.requests.put_nowait(grpc.aio.EOF)

    async def gated(request: wire.ClassifyRequest) -> wire.ClassifyReply:
        await gates[request.frame_id].wait()
        return await answer(request)

    serving = asyncio.create_task(serve_stream(context, gated, OpenCalls(), window=2, check=lambda: None))
    for _ in range(20):
        await asyncio.sleep(0)
    assert context.reads == 2
    gates["b"].set()
    for _ in range(20):
        await asyncio.sleep(0)
    assert (context.written, context.reads) == (["b"], 3)
    for gate in gates.values():
        gate.set()
    await serving
    assert sorted(context.written) == ["a", "b", "c", "d"]


async def test_a_drain_stops_reading_and_waits_for_open_calls() -> None:
    context, calls = Context("a"), OpenCalls()

    async def call() -> None:
        with calls.one():
            await serve_stream(context, answer, calls, window=9, check=lambda: None)

    running = asyncio.create_task(call())
    while not context.written:  # noqa: ASYNC110 - what is awaited happens in another task, without an event
        await asyncio.sleep(0)
    assert len(calls) == 1
    await calls.end()
    assert len(calls) == 0
    await running


async def test_a_caller_that_is_no_longer_let_in_ends_its_stream() -> None:
    def refuse() -> None:
        raise PermissionError("revoked")

    with pytest.raises(ExceptionGroup) as error:
        await serve_stream(Context("a"), answer, OpenCalls(), window=9, check=refuse)
    assert isinstance(error.value.exceptions[0], PermissionError)
