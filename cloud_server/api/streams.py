"""Calls that last: one stream read within its window, and the count of open calls that a drain waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import grpc

from cloud_server.api.windows import Windows
from cloud_server.model.places import Overloaded
from edge_sdk.errors import EdgeError
from edge_sdk.wire import offload_pb2 as wire

Answer = Callable[[wire.ClassifyRequest], Awaitable[wire.ClassifyReply]]

UNREAD_S = 120.0
"""Seconds that a reply may take to leave."""


class Unread(EdgeError):
    """A device reads no replies."""


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


def _leave(windows: Windows, device: str, size: int, task: asyncio.Task[None]) -> None:
    windows.leave(device, size)


async def serve_stream(
    context: Any,
    answer: Answer,
    calls: OpenCalls,
    *,
    windows: Windows,
    device: str,
    check: Callable[[], None],
    refuse: Callable[[wire.ClassifyRequest, Exception], wire.ClassifyReply],
) -> None:
    """Answer the requests of one stream until the device ends it, or `calls` ends.

    Replies are written as they are ready. While the device has as many frames in flight as it may have, over all its
    streams, the stream is not read: HTTP/2 holds the sender back. A device that reads no reply for `UNREAD_S` loses the
    stream; its replies are cached.

    Args:
        context: of the call, as `grpc.aio` gives it.
        answer: from a request to its reply.
        calls: tells when to stop reading.
        windows: of all devices.
        device: whose stream it is.
        check: called before each request is answered; raises where the caller is no longer let in.
        refuse: the reply to a request that is one too many.

    Raises:
        grpc.aio.BaseError: the device has left.
        Unread: it reads no replies.
    """
    writing = asyncio.Lock()

    async def write(reply: wire.ClassifyReply) -> None:
        async with writing:  # gRPC allows one write at a time
            try:
                async with asyncio.timeout(UNREAD_S):
                    await context.write(reply)
            except TimeoutError:
                raise Unread(f"no reply was read for {UNREAD_S:g} s") from None

    async def reply_to(request: wire.ClassifyRequest) -> None:
        answering = answer(request)
        del request  # a device that does not read its replies must not hold its pictures in our memory
        await write(await answering)

    async def read(group: asyncio.TaskGroup) -> None:
        while True:
            request = await context.read()
            if request is grpc.aio.EOF:
                return
            check()
            size = request.ByteSize()
            try:
                await windows.enter(device, size)
            except Overloaded as error:
                await write(refuse(request, error))
                continue
            task = group.create_task(reply_to(request))
            task.add_done_callback(partial(_leave, windows, device, size))
            del request

    async with asyncio.TaskGroup() as group:
        reader = group.create_task(read(group))
        ending = group.create_task(calls.ending())
        await asyncio.wait((reader, ending), return_when=asyncio.FIRST_COMPLETED)
        reader.cancel()
        ending.cancel()
