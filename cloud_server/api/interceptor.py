"""What happens to a call before its message is read: no known token, no message; and a turn for each message."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import grpc

from cloud_server.access.authenticator import Authenticator, Unauthenticated, address_of
from cloud_server.access.refusals import RefusalLog
from cloud_server.api.failures import end_call
from cloud_server.api.single_calls import SingleCalls
from cloud_server.fleet.stats import Stats


class TokenInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Guards the calls of some services, and bounds the messages of all.

    Args:
        services: full names of the services; others (health) need no token.
        authenticator: knows the tokens.
        stats: counts the calls that were refused.
        refusals: logs them.
    """

    def __init__(
        self, services: Iterable[str], authenticator: Authenticator, stats: Stats, refusals: RefusalLog
    ) -> None:
        self._prefixes, self._authenticator = tuple(f"/{service}/" for service in services), authenticator
        self._stats, self._refusals = stats, refusals
        self._came = 0
        self._calls = SingleCalls(self._name_of, self._end)
        self._others = SingleCalls(lambda context: address_of(context.peer()), self._end, per_caller=64)

    def take_calls(self) -> int:
        """Calls that came since this was asked last, those refused included."""
        count, self._came = self._came, 0
        return count

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], call: Any) -> Any:
        """The handler of the call, or one that refuses it."""
        self._came += 1
        if call.method.startswith(self._prefixes):
            try:
                self._authenticator.token_of(call.invocation_metadata)
            except Unauthenticated as error:
                return self._refusal(error)
            return self._calls.bounded(await continuation(call))
        return self._others.bounded(await continuation(call))

    def _name_of(self, context: Any) -> str:
        """The caller's; one whose token was revoked a moment ago is turned away by the service."""
        try:
            return self._authenticator.authenticate(context).name
        except Unauthenticated:
            return address_of(context.peer())

    async def _end(self, context: Any, error: Exception) -> None:
        await end_call(context, error, self._stats, self._refusals)

    def _refusal(self, error: Unauthenticated) -> grpc.RpcMethodHandler:
        async def refuse(requests: Any, context: Any) -> None:
            await end_call(context, error, self._stats, self._refusals)

        # As a handler of streams it is called at once; one of single messages would be called after the message.
        return grpc.stream_stream_rpc_method_handler(refuse)
