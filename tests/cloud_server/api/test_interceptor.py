from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from gated_model import GatedModel, picture
from grpc_health.v1 import health_pb2, health_pb2_grpc

from cloud_server.server import CloudServer, ServerConfig
from edge_sdk.security.tokens import add_token, new_token
from edge_sdk.types import new_frame_id
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc

CONFIG = ServerConfig(port=0, max_batch=4)


@pytest.fixture
def token(tmp_path: Path) -> str:
    token = new_token()
    add_token(tmp_path / "tokens", "cam-1", token)
    return token


@pytest.fixture
async def server(tmp_path: Path, token: str) -> AsyncIterator[CloudServer]:
    async with CloudServer(dataclasses.replace(CONFIG, tokens=tmp_path / "tokens"), GatedModel()) as running:
        yield running


async def test_a_call_without_a_token_is_refused_before_its_message(server: CloudServer) -> None:
    async with grpc.aio.insecure_channel(server.address) as channel:
        call = wire_grpc.OffloadStub(channel).Stream()  # nothing is ever sent on it
        assert await call.code() == grpc.StatusCode.UNAUTHENTICATED
        assert "edge-sdk keys token" in await call.details()
    assert server.stats.refusals == 1


async def test_a_call_with_a_token_passes(server: CloudServer, token: str) -> None:
    async with grpc.aio.insecure_channel(server.address) as channel:
        asked = wire.ClassifyRequest(frame_id=new_frame_id(), image=picture())
        stub = wire_grpc.OffloadStub(channel)
        reply = await stub.Classify(asked, metadata=[("authorization", f"Bearer {token}")])
    assert reply.HasField("classification")
    assert server.stats.refusals == 0


async def test_health_needs_no_token(server: CloudServer) -> None:
    async with grpc.aio.insecure_channel(server.address) as channel:
        reply = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert reply.status == health_pb2.HealthCheckResponse.SERVING
