"""The gRPC services of a replica of Ray Serve, which has no server of its own: found by name, behind the same guard."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import grpc

from cloud_server.api.interceptor import TokenInterceptor
from cloud_server.ray_call import RayCall


class _Details(NamedTuple):
    """What is known of a call before its message, in gRPC's words."""

    method: str
    invocation_metadata: tuple[tuple[str, str], ...]


class RayServices:
    """What the generated functions `add_...Servicer_to_server` take for a server.

    Args:
        guard: each call passes it, as on a server with a port of its own.
    """

    def __init__(self, guard: TokenInterceptor) -> None:
        self._guard = guard
        self._handlers: list[grpc.GenericRpcHandler] = []

    def add_generic_rpc_handlers(self, handlers: tuple[grpc.GenericRpcHandler, ...]) -> None:
        """Offer the methods of a service."""
        self._handlers.extend(handlers)

    def add_registered_method_handlers(self, service: str, handlers: dict[str, grpc.RpcMethodHandler]) -> None:
        """Nothing: the same methods come by `add_generic_rpc_handlers` too."""

    async def serve(self, method: str, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        """The replies of a call.

        Args:
            method: "/SERVICE/METHOD".
            requests: its messages.
            context: Ray's.
        """
        call = RayCall(context, requests)
        handler = await self._guard.intercept_service(self._find, _Details(method, call.invocation_metadata()))
        if handler is None:
            await call.abort(grpc.StatusCode.UNIMPLEMENTED, f"expected a method that is served here; got {method}")
        async for reply in call.served_by(handler.stream_stream):
            yield reply

    async def _find(self, details: _Details) -> grpc.RpcMethodHandler | None:
        found = (handlers.service(details) for handlers in self._handlers)
        return next((handler for handler in found if handler is not None), None)


Method = Callable[..., Awaitable[Any]]
"""Of a replica, its request and `grpc_context`, as Ray calls it."""


def single(service: str, name: str) -> Method:
    """A method of a replica that has one message and one reply.

    Args:
        service: full name of the service.
        name: of the method.

    Returns:
        A function for a class whose `services` gives its `RayServices` once it is ready.
    """

    async def call(self: Any, request: Any, grpc_context: Any) -> Any:
        services: RayServices = await self.services()
        replies = services.serve(f"/{service}/{name}", _one(request), grpc_context)
        try:
            return await anext(replies)
        finally:
            await replies.aclose()  # type: ignore[attr-defined]

    call.__name__ = call.__qualname__ = name
    return call


async def _one(request: Any) -> AsyncIterator[Any]:
    yield request
