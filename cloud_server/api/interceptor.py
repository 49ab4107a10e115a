"""Turns away calls without a known token before their message is read: a stranger's 16 MB never reach the memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from cloud_server.access.authenticator import Authenticator, Unauthenticated
from cloud_server.access.refusals import RefusalLog
from cloud_server.api.failures import end_call
from cloud_server.fleet.stats import Stats


class TokenInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Guards the calls of one service.

    Args:
        service: full name of the service; others (health) need no token.
        authenticator: knows the tokens.
        stats: counts the calls that were refused.
        refusals: logs them.
    """

    def __init__(self, service: str, authenticator: Authenticator, stats: Stats, refusals: RefusalLog) -> None:
        self._prefix, self._authenticator = f"/{service}/", authenticator
        self._stats, self._refusals = stats, refusals
        self._calls = 0

    def take_calls(self) -> int:
        """Calls that came since this was asked last, those refused included."""
        count, self._calls = self._calls, 0
        return count

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], call: Any) -> Any:
        """The handler of the call, or one that refuses it."""
        self._calls += 1
        if call.method.startswith(self._prefix):
            try:
                self._authenticator.token_of(call.invocation_metadata)
            except Unauthenticated as error:
                return self._refusal(error)
        return await continuation(call)

    def _refusal(self, error: Unauthenticated) -> grpc.RpcMethodHandler:
        async def refuse(requests: Any, context: Any) -> None:
            await end_call(context, error, self._stats, self._refusals)

        # As a handler of streams it is called at once; one of single messages would be called after the message.
        return grpc.stream_stream_rpc_method_handler(refuse)
