"""Calls of one message each, such as Classify: the message is read when its caller has a turn, not when it comes.

gRPC reads the message of such a call before it tells the server of it: 128 calls on one connection would put 128
messages into the memory. Served as streams they stay with the sender, but for one HTTP/2 window each.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from cloud_server.access.authenticator import TooManyStreams

MESSAGE_S = 120.0
"""Seconds in which a message must have come, once its turn has."""


class SingleCalls:
    """Bounds the open calls, and the messages that are read at a time, of each caller; used on one event loop.

    Args:
        name_of: the caller's name, from the context of a call.
        refuse: ends a call that is one too many; raises.
        per_caller: open calls of one caller.
        total: open calls of all.
        reads: messages of one caller that are read at a time.
    """

    def __init__(
        self,
        name_of: Callable[[Any], str],
        refuse: Callable[[Any, Exception], Any],
        *,
        per_caller: int = 256,
        total: int = 2048,
        reads: int = 8,
    ) -> None:
        self._name_of, self._refuse = name_of, refuse
        self._per_caller, self._total, self._reads = per_caller, total, reads
        self._open: Counter[str] = Counter()
        self._turns: dict[str, asyncio.Semaphore] = {}

    def __len__(self) -> int:
        return self._open.total()

    def bounded(self, handler: grpc.RpcMethodHandler | None) -> grpc.RpcMethodHandler | None:
        """The handler of a method in a form that reads its message when there is a turn; one of streams as it is."""
        if handler is None or handler.request_streaming:
            return handler

        async def serve(requests: Any, context: Any) -> None:
            name = self._name_of(context)
            for taken, most, whose in (
                (self._open[name], self._per_caller, "one device"),
                (len(self), self._total, "all devices"),
            ):
                if taken >= most:
                    await self._refuse(
                        context, TooManyStreams(f"expected at most {most} open calls of {whose}; got another")
                    )
            with self._one(name) as turn:
                try:
                    async with turn, asyncio.timeout(MESSAGE_S):
                        request = await context.read()
                except TimeoutError:
                    await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, f"no message came within {MESSAGE_S:g} s")
                if request is grpc.aio.EOF:
                    await context.abort(
                        grpc.StatusCode.INVALID_ARGUMENT, "expected one message with the call; got none"
                    )
                if handler.response_streaming:
                    await handler.unary_stream(request, context)
                    return
                answering = handler.unary_unary(request, context)
                del request  # the handler drops it when it has what it needs
                await context.write(await answering)

        return grpc.stream_stream_rpc_method_handler(serve, handler.request_deserializer, handler.response_serializer)

    @contextmanager
    def _one(self, name: str) -> Iterator[asyncio.Semaphore]:
        self._open[name] += 1
        try:
            yield self._turns.setdefault(name, asyncio.Semaphore(self._reads))
        finally:
            self._open[name] -= 1
            if not self._open[name]:
                del self._open[name], self._turns[name]
