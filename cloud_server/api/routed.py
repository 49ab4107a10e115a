"""The calls of the wire where a server has several models: each call goes to the one that its device asks for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from cloud_server.access.authenticator import Authenticator, Unauthenticated
from cloud_server.api.offload import OffloadService
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc
from edge_sdk.wire.names import MODEL_HEADER

_LONGEST = 64


class RoutedService(wire_grpc.OffloadServicer):  # type: ignore[misc]
    """Hands calls on.

    Args:
        of: from the name that a device asks for ("": none), and the device's name, to what answers it.
        authenticator: knows the device's name.
    """

    def __init__(self, of: Callable[[str, str], OffloadService], authenticator: Authenticator) -> None:
        self._of, self._authenticator = of, authenticator

    async def Describe(self, request: wire.DescribeRequest, context: Any) -> wire.Description:
        """The name, size and labels of the device's model."""
        return await self._its(context).Describe(request, context)

    async def Classify(self, request: wire.ClassifyRequest, context: Any) -> wire.ClassifyReply:
        """One frame, one reply."""
        answering = self._its(context).Classify(request, context)
        del request
        return await answering

    async def Stream(self, requests: AsyncIterator[wire.ClassifyRequest], context: Any) -> None:
        """Many frames; all are answered by the model that the device had when it began."""
        await self._its(context).Stream(requests, context)

    async def Report(self, request: wire.ReportRequest, context: Any) -> wire.ReportReply:
        """What a device tells of itself."""
        return await self._its(context).Report(request, context)

    def _its(self, context: Any) -> OffloadService:
        """What answers the caller; who is not let in is refused there."""
        named = [value for key, value in context.invocation_metadata() or () if key == MODEL_HEADER]
        name = named[0][:_LONGEST] if named and isinstance(named[0], str) else ""
        try:
            device = self._authenticator.authenticate(context).device
        except Unauthenticated:
            device = ""
        return self._of(name, device)
