"""Calls that last: one stream read within its window, and the count of open calls that a drain waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import grpc

from edge_sdk.wire import offload_pb2 as wire

Answer = Callable[[wire.ClassifyRequest], Awaitable[wire.ClassifyReply]]


class OpenCalls:
    """Counts calls while they last, and tells the streams among them to end."""

    def __init__(self) -> None:
        self._count = 0
        self._none = asyncio.Event()
        self._none.set()
        self._ending = asyncio.Event()

    def __len__(self) -> int:
        return self._count

    @contextmanager
    def one(self) -> Iterator[None]:
        """Counts one call within the block."""
        self._count += 1
        self._none.clear()
        try:
            yield
        finally:
            self._count -= 1
            if not self._count:
                self._none.set()

    async def end(self) -> None:
        """Stop reading the streams, and return when no call is left."""
        self._ending.set()
        await self._none.wait()

    async def renew(self, timeout_s: float) -> None:
        """Stop reading the streams that are open, so that their devices come again, and wait for their replies."""
        self._ending.set()
        self._ending = asyncio.Event()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._none.wait()

    async def ending(self) -> None:
        """Return once `end` or `renew` was called."""
        await self._ending.wait()


async def serve_stream(
    context: Any, answer: Answer, calls: OpenCalls, *, window: int, check: Callable[[], None]
) -> None:
    """Answer the requests of one stream until the device ends it, or `calls` ends.

    Replies are written as they are ready. At most `window` frames are in flight: beyond it the stream is not read, and
    HTTP/2 holds the sender back.

    Args:
        context: of the call, as `grpc.aio` gives it.
        answer: from a request to its reply.
        calls: tells when to stop reading.
        window: frames.
        check: called before each request is answered; raises where the caller is no longer let in.
    """
    places = asyncio.Semaphore(window)
    writing = asyncio.Lock()

    async def reply_to(request: wire.ClassifyRequest) -> None:
        reply = await answer(request)
        del request  # a device that does not read its replies must not hold its pictures in our memory
        async with writing:  # gRPC allows one write at a time
            await context.write(reply)
        places.release()

    async def read(group: asyncio.TaskGroup) -> None:
        while True:
            await places.acquire()
            request = await context.read()
            if request is grpc.aio.EOF:
                return
            check()
            group.create_task(reply_to(request))
            del request

    async with asyncio.TaskGroup() as group:
        reader = group.create_task(read(group))
        ending = group.create_task(calls.ending())
        await asyncio.wait((reader, ending), return_when=asyncio.FIRST_COMPLETED)
        reader.cancel()
        ending.cancel()
