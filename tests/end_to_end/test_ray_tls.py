"""A server without TLS behind HAProxy with the config for Ray Serve; `test_ray_app.py` has Ray itself behind it."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
from gated_model import picture
from server_parts import serving
from tls_proxy import tls_in_front

from edge_sdk.types import new_frame_id
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc


def frames(count: int) -> list[wire.ClassifyRequest]:
    return [wire.ClassifyRequest(frame_id=new_frame_id(), image=picture(1)) for _ in range(count)]


async def test_devices_speak_tls_and_both_kinds_of_calls_pass(tmp_path: Path) -> None:
    with serving(tmp_path / "log") as (_, target), tls_in_front(tmp_path, target) as (address, authority):
        async with grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(authority)) as channel:
            stub = wire_grpc.OffloadStub(channel)
            (one,) = frames(1)
            reply = await stub.Classify(one, wait_for_ready=True, timeout=60)
            assert reply.classification.label
            call, sent, came = stub.Stream(), frames(20), set[str]()
            for request in sent:  # one after the other: each reply passes before the next frame is there
                await call.write(request)
                reply = await call.read()
                assert reply.HasField("classification"), reply.failure
                came.add(reply.frame_id)
            await call.done_writing()
            assert await call.read() is grpc.aio.EOF
            assert came == {request.frame_id for request in sent}


async def test_who_speaks_without_tls_is_not_let_through(tmp_path: Path) -> None:
    with serving(tmp_path / "log") as (_, target), tls_in_front(tmp_path, target) as (address, authority):
        async with grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(authority)) as channel:
            await wire_grpc.OffloadStub(channel).Describe(wire.DescribeRequest(), wait_for_ready=True, timeout=60)
        async with grpc.aio.insecure_channel(address) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await wire_grpc.OffloadStub(channel).Describe(wire.DescribeRequest(), timeout=60)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
