from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from ray_parts import Context

from cloud_server.access.authenticator import Authenticator
from cloud_server.access.refusals import RefusalLog
from cloud_server.api.interceptor import TokenInterceptor
from cloud_server.fleet.stats import Stats
from cloud_server.ray_call import Ended
from cloud_server.ray_services import RayServices, single
from edge_sdk.security.tokens import add_token, new_token
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc

SERVICE = "edge_sdk.v1.Offload"


class _Service(wire_grpc.OffloadServicer):  # type: ignore[misc]
    async def Describe(self, request: wire.DescribeRequest, context: Any) -> wire.Description:
        return wire.Description(model=f"for {context.peer()}")

    async def Stream(self, requests: AsyncIterator[wire.ClassifyRequest], context: Any) -> None:
        while (request := await context.read()) is not grpc.aio.EOF:
            await context.write(wire.ClassifyReply(frame_id=request.frame_id))


def _services(tokens: Path | None = None) -> RayServices:
    guard = TokenInterceptor([SERVICE], Authenticator(tokens), Stats(), RefusalLog())
    services = RayServices(guard)
    wire_grpc.add_OffloadServicer_to_server(_Service(), services)
    return services


class _Replica:
    def __init__(self, services: RayServices) -> None:
        self._services = services

    async def services(self) -> RayServices:
        return self._services

    Describe = single(SERVICE, "Describe")


async def _requests(count: int) -> AsyncIterator[wire.ClassifyRequest]:
    for number in range(count):
        yield wire.ClassifyRequest(frame_id=str(number))


async def test_methods_are_found_by_name() -> None:
    services, context = _services(), Context()
    told = await _Replica(services).Describe(wire.DescribeRequest(), context)
    assert told.model == f"for {context.peer()}"
    replies = [reply.frame_id async for reply in services.serve(f"/{SERVICE}/Stream", _requests(9), context)]
    assert replies == [str(number) for number in range(9)]
    with pytest.raises(Ended, match="UNIMPLEMENTED"):
        await anext(services.serve("/other.Service/Describe", _requests(1), context))
    assert context.code is grpc.StatusCode.UNIMPLEMENTED


async def test_calls_without_a_token_are_refused(tmp_path: Path) -> None:
    token = new_token()
    add_token(tmp_path / "tokens", "cam", token)
    replica = _Replica(_services(tmp_path / "tokens"))
    await replica.Describe(wire.DescribeRequest(), Context(token))
    for context in (Context(), Context(new_token())):
        with pytest.raises(Ended, match="UNAUTHENTICATED"):
            await replica.Describe(wire.DescribeRequest(), context)
        assert context.code is grpc.StatusCode.UNAUTHENTICATED
