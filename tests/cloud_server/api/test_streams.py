from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from cloud_server.api.streams import OpenCalls, Unread, serve_stream
from cloud_server.api.windows import Windows
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


def options(window: int = 9, check: Callable[[], None] = lambda: None) -> dict[str, Any]:
    return {"windows": Windows(window, 100), "device": "cam", "check": check, "refuse": refuse}


def refuse(request: wire.ClassifyRequest, error: Exception) -> wire.ClassifyReply:
    return wire.ClassifyReply(frame_id=request.frame_id, failure=wire.Failure(message=str(error)))


async def answer(request: wire.ClassifyRequest) -> wire.ClassifyReply:
    return wire.ClassifyReply(frame_id=request.frame_id)


async def test_replies_come_as_they_are_ready_within_the_window() -> None:
    context, gates = Context(*"abcd"), {name: asyncio.Event() for name in "abcd"}
    context.requests.put_nowait(grpc.aio.EOF)

    async def gated(request: wire.ClassifyRequest) -> wire.ClassifyReply:
        await gates[request.frame_id].wait()
        return await answer(request)

    serving = asyncio.create_task(serve_stream(context, gated, OpenCalls(), **options(2)))
    for _ in range(20):
        await asyncio.sleep(0)
    assert context.reads == 3  # two in flight, and one that waits for its window
    gates["b"].set()
    for _ in range(20):
        await asyncio.sleep(0)
    assert (context.written, context.reads) == (["b"], 4)
    for gate in gates.values():
        gate.set()
    await serving
    assert sorted(context.written) == ["a", "b", "c", "d"]


async def test_a_drain_stops_reading_and_waits_for_open_calls() -> None:
    context, calls = Context("a"), OpenCalls()

    async def call() -> None:
        with calls.one():
            await serve_stream(context, answer, calls, **options())

    running = asyncio.create_task(call())
    while not context.written:  # noqa: ASYNC110 - what is awaited happens in another task, without an event
        await asyncio.sleep(0)
    assert len(calls) == 1
    await calls.end()
    assert len(calls) == 0
    await running


async def test_a_caller_that_is_no_longer_let_in_ends_its_stream() -> None:
    def revoked() -> None:
        raise PermissionError("revoked")

    with pytest.raises(ExceptionGroup) as error:
        await serve_stream(Context("a"), answer, OpenCalls(), **options(check=revoked))
    assert isinstance(error.value.exceptions[0], PermissionError)


async def test_a_device_that_reads_no_reply_loses_its_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud_server.api.streams.UNREAD_S", 0.01)

    class Unreading(Context):
        async def write(self, reply: wire.ClassifyReply) -> None:
            await asyncio.Event().wait()

    given = options()
    with pytest.raises(ExceptionGroup) as error:
        await serve_stream(Unreading("a", "b"), answer, OpenCalls(), **given)
    assert all(isinstance(one, Unread) for one in error.value.exceptions)
    await asyncio.sleep(0)
    assert not given["windows"]._in_flight


async def test_the_streams_of_one_device_share_its_window() -> None:
    given, gate = options(2), asyncio.Event()

    async def gated(request: wire.ClassifyRequest) -> wire.ClassifyReply:
        await gate.wait()
        return await answer(request)

    contexts = [Context("a", "b", "c"), Context("d", "e", "f")]
    serving = []
    for context in contexts:
        context.requests.put_nowait(grpc.aio.EOF)
        serving.append(asyncio.create_task(serve_stream(context, gated, OpenCalls(), **given)))
    for _ in range(20):
        await asyncio.sleep(0)
    assert sum(context.reads for context in contexts) == 4  # two in flight, and one of each stream that waits
    gate.set()
    await asyncio.gather(*serving)
    assert sorted(contexts[0].written + contexts[1].written) == list("abcdef")
