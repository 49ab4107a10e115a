"""A call as Ray Serve gives it to a replica, in the form in which `grpc.aio` gives calls to a service."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc


class Ended(Exception):
    """A call was ended with a status; Ray sends the status that is set in its context."""


class NoTracebacks(logging.Filter):
    """Drops Ray's traceback of each call that was ended with a status: who is refused stands in the refusals' lines."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is to be logged."""
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        while error is not None:
            if isinstance(error, Ended):
                return False
            error = error.__cause__
        return True


class RayCall:
    """What services ask of a gRPC context.

    Args:
        context: Ray's, with the caller's metadata and address (`ray.serve.grpc_util.RayServegRPCContext`).
        requests: its messages.
    """

    def __init__(self, context: Any, requests: AsyncIterator[Any]) -> None:
        self._context, self._requests = context, requests
        self._replies: asyncio.Queue[Any] = asyncio.Queue(1)  # as gRPC: a write waits until it has left

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        """Key and value of each header."""
        return tuple(self._context.invocation_metadata())

    def auth_context(self) -> dict[str, Any]:
        """Empty: the connection ends at Ray's proxy, which knows no certificates of devices."""
        return {}

    def peer(self) -> str:
        """Where the call comes from, as Ray's proxy saw it."""
        return str(self._context.peer())

    async def read(self) -> Any:
        """The next request; `grpc.aio.EOF` where the device has ended the stream or gone."""
        try:
            return await anext(self._requests)
        except StopAsyncIteration:
            return grpc.aio.EOF

    async def write(self, reply: Any) -> None:
        """Hand a reply on."""
        await self._replies.put(reply)

    async def abort(self, code: grpc.StatusCode, details: str = "") -> None:
        """End the call.

        Raises:
            Ended: always.
        """
        self._context.set_code(code)
        self._context.set_details(details)
        raise Ended(f"{code.name}: {details}")

    async def served_by(self, stream: Callable[[Any, Any], Awaitable[None]]) -> AsyncIterator[Any]:
        """The replies of a call's handler, as they are written; raises what it raises."""
        serving = asyncio.ensure_future(stream(self._requests, self))
        next_one: asyncio.Future[Any] | None = None
        try:
            while True:
                next_one = next_one or asyncio.ensure_future(self._replies.get())
                await asyncio.wait((serving, next_one), return_when=asyncio.FIRST_COMPLETED)
                if next_one.done():
                    reply, next_one = next_one.result(), None
                    yield reply
                elif serving.done():
                    await serving
                    return
        finally:
            if next_one is not None:
                next_one.cancel()
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
