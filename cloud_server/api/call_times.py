"""How long calls take, by method and status: OpenTelemetry's `rpc.server.call.duration`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from time import monotonic
from typing import Any

import grpc

from cloud_server.fleet.measures import Measures

_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}


class CallTimes(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Measures calls from their begin to their end, those of a stream as a whole; stands before other interceptors.

    Args:
        measures: counts them.
        methods: that are counted each, such as "edge_sdk.v1.Offload/Stream"; a stranger may ask for any other.
    """

    def __init__(self, measures: Measures, methods: Iterable[str]) -> None:
        self._measures, self._methods = measures, frozenset(methods)

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], call: Any) -> Any:
        """The handler of the call, measured."""
        began = monotonic()
        handler = await continuation(call)
        method = call.method.removeprefix("/")
        if handler is None or handler.stream_stream is None or method not in self._methods:
            return handler

        async def serve(requests: Any, context: Any) -> None:
            status = "OK"
            try:
                await handler.stream_stream(requests, context)
            except asyncio.CancelledError:
                status = "CANCELLED"
                raise
            except BaseException:
                status = "UNKNOWN"
                raise
            finally:
                self._measures.count_call(method, _status_of(context) or status, monotonic() - began)

        return grpc.stream_stream_rpc_method_handler(serve, handler.request_deserializer, handler.response_serializer)


def methods_of(*files: Any) -> list[str]:
    """The full names of the methods of all services in files of protobuf descriptors."""
    return [
        f"{service.full_name}/{method.name}"
        for file in files
        for service in file.services_by_name.values()
        for method in service.methods
    ]


def _status_of(context: Any) -> str:
    """The status that a call was ended with; "": with none, which is OK."""
    code = context.code()
    return code.name if isinstance(code, grpc.StatusCode) else _NAMES.get(code, "") if code else ""
