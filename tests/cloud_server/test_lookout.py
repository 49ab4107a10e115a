"""A model that hangs or fails on everything, in a server that listens."""

from __future__ import annotations

import asyncio
import dataclasses

import grpc
import pytest
from gated_model import GatedModel, picture
from grpc_health.v1 import health_pb2, health_pb2_grpc

from cloud_server.model.watch import ModelWatch
from cloud_server.server import CloudServer, ServerConfig
from edge_sdk.types import new_frame_id
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc

CONFIG = ServerConfig(port=0, max_batch=4)
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def request(level: int) -> wire.ClassifyRequest:
    return wire.ClassifyRequest(frame_id=new_frame_id(), image=picture(level))


async def test_health_and_the_log_tell_a_model_that_hangs(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("cloud_server.lookout.WATCH_EVERY_S", 0.001)
    now, model = [0.0], GatedModel()
    async with CloudServer(CONFIG, model) as server, grpc.aio.insecure_channel(server.address) as channel:
        server._batcher.watch = ModelWatch(lambda: now[0])
        health = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await health.read()).status == SERVING
        model.shut()
        call = asyncio.ensure_future(wire_grpc.OffloadStub(channel).Classify(request(1)))
        await asyncio.to_thread(model.entered.acquire)
        now[0] = 21.0
        assert (await health.read()).status == NOT_SERVING
        model.gate.set()
        assert (await call).HasField("classification")
        assert (await health.read()).status == SERVING
    assert "the model hangs or fails on everything: health says NOT_SERVING" in caplog.text


async def test_a_model_that_fails_on_everything_ends_the_offer_and_then_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cloud_server.lookout.WATCH_EVERY_S", 0.001)
    now, model = [0.0], GatedModel()
    config = dataclasses.replace(CONFIG, model_grace_s=30)
    async with (
        CloudServer(config, model, clock=lambda: now[0]) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        server._batcher.watch = ModelWatch(lambda: now[0])
        stub = wire_grpc.OffloadStub(channel)
        health = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await health.read()).status == SERVING
        monkeypatch.setattr(server._batcher, "_run", lambda images, little: 1 / 0)  # the GPU is gone, for good
        assert (await stub.Classify(request(1))).failure.code == wire.Failure.INTERNAL
        for _ in range(3):  # no other frame comes: the server asks by itself
            failed = server._batcher.watch._failed_checks
            now[0] += 5
            while server._batcher.watch._failed_checks == failed:  # noqa: ASYNC110 - a task of the server's own
                await asyncio.sleep(0.001)
        assert (await health.read()).status == NOT_SERVING
        reply = await stub.Classify(request(1))
        assert (reply.failure.code, reply.failure.retryable) == (wire.Failure.DRAINING, True)
        assert not server._lookout.broken.is_set()
        now[0] += 31
        await server.broken()


async def test_frames_in_flight_at_a_broken_model_are_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud_server.lookout.WATCH_EVERY_S", 0.001)
    now, model = [0.0], GatedModel()
    config = dataclasses.replace(CONFIG, model_grace_s=30)
    server = CloudServer(config, model, clock=lambda: now[0])
    await server.start()
    async with grpc.aio.insecure_channel(server.address) as channel:
        server._batcher.watch = ModelWatch(lambda: now[0])
        model.shut()
        calls = [asyncio.ensure_future(wire_grpc.OffloadStub(channel).Classify(request(n))) for n in range(3)]
        await asyncio.to_thread(model.entered.acquire)
        now[0] = 21.0
        health = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        while (await health.read()).status != NOT_SERVING:
            pass
        now[0] = 52.0
        await server.broken()
        stopping = asyncio.create_task(server.stop())
        for reply in await asyncio.gather(*calls):
            assert (reply.failure.code, reply.failure.retryable) == (wire.Failure.DRAINING, True)
        assert await stopping
        model.gate.set()
