"""Replicas of Ray Serve as Ray would make and call them, without Ray's processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from gated_model import picture
from grpc_health.v1 import health_pb2
from open_inference_parts import framed, several, write
from open_inference_parts import request as asked
from postgres_server import Postgres
from ray_parts import Context
from starlette.applications import Starlette
from starlette.routing import Route

from cloud_server.ray_call import Ended
from edge_sdk.security.tokens import add_token, new_token
from edge_sdk.types import new_frame_id
from edge_sdk.wire import offload_pb2 as wire

pytest.importorskip("ray", reason='needs Ray: pip install ".[cloud,ray]"')


@pytest.mark.filterwarnings("ignore")
async def test_replicas_share_replies_in_the_database_and_take_reports(
    checkpoint: Path, postgres_process: Postgres
) -> None:
    from cloud_server.ray_options import Options
    from cloud_server.ray_replica import Offload

    options = Options(model=str(checkpoint), database=postgres_process.new_database(), max_batch=2)
    first, second = Offload(options, None), Offload(options, None)
    image = bytes(cv2.imencode(".png", np.zeros((64, 64, 3), np.uint8))[1])
    request = wire.ClassifyRequest(frame_id=new_frame_id(), image=image)
    try:
        await first.check_health()
        reply = await first.Classify(request, Context())
        assert reply.classification.label
        assert await second.Classify(request, Context()) == reply
        assert second.stats.repeats == 1 and second.stats.frames == 0  # the model did not run again
        assert (await second.Report(wire.ReportRequest(sent_ms=1), Context())).taken
    finally:
        await first.stop()
        await second.stop()


def _frame(level: int) -> wire.ClassifyRequest:
    return wire.ClassifyRequest(frame_id=new_frame_id(), image=picture(level))


async def _health(replica: Any, service: str) -> int:
    told = await replica.Check(health_pb2.HealthCheckRequest(service=service), grpc_context=Context())
    return int(told.status)


@pytest.mark.filterwarnings("ignore")
async def test_several_models_have_their_devices_and_health_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cloud_server.model.batching import Draining
    from cloud_server.ray_options import Options
    from cloud_server.ray_replica import Offload

    monkeypatch.setattr("cloud_server.lookout.WATCH_EVERY_S", 0.001)
    path, loaded = several(tmp_path, monkeypatch)
    write(path, ("trailcam", "a", None), ("trailcam", "canary", 0.999999), ("birds", "b", None))
    replica: Any = Offload(Options(models=str(path)), None)
    try:
        await replica.check_health()
        for headers, weights in (({}, "canary"), ({"edge_model": "birds"}, "b")):
            context = Context(**headers)
            described = await replica.Describe(wire.DescribeRequest(), grpc_context=context)
            assert described.model == weights and described.version
            assert (await replica.Classify(_frame(1), grpc_context=context)).classification.label == "grey fox"
            assert loaded[weights].batches[-1] == [1]
        serving, not_serving = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
        for service in ("", "edge_sdk.v1.Offload", "model/trailcam", "model/birds"):
            assert await _health(replica, service) == serving
        with pytest.raises(Ended, match="NOT_FOUND"):
            await _health(replica, "model/fish")
        watch = replica.Watch(health_pb2.HealthCheckRequest(service="model/birds"), grpc_context=Context())
        assert (await anext(watch)).status == serving
        birds = list(replica._models)[2].batcher.watch
        for _ in range(3):
            birds.check_failed()
        assert (await anext(watch)).status == not_serving
        await watch.aclose()
        assert await _health(replica, "model/trailcam") == await _health(replica, "") == serving
        with pytest.raises(Draining, match="the model birds does not answer"):
            await replica.check_health()  # Ray replaces the replica
    finally:
        await replica.stop()


@pytest.mark.filterwarnings("ignore")
async def test_standard_clients_have_the_same_tokens_and_rates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cloud_server.open_inference import open_inference_pb2 as oip
    from cloud_server.ray_options import Options
    from cloud_server.ray_replica import Offload

    path, _ = several(tmp_path, monkeypatch)
    write(path, ("gated", "a", None))
    token = new_token()
    add_token(tmp_path / "tokens", "lab", token)
    options = Options(models=str(path), tokens=str(tmp_path / "tokens"), open_inference=True, max_frames_per_s=0.001)
    replica: Any = Offload(options, None)
    infer = asked(shape=(2, 1), raw_input_contents=[framed(picture(1), picture(2))])
    try:
        for method, request in (("ServerLive", oip.ServerLiveRequest()), ("ModelInfer", infer)):
            with pytest.raises(Ended, match="UNAUTHENTICATED"):
                await getattr(replica, method)(request, grpc_context=Context())
        assert (await replica.ServerReady(oip.ServerReadyRequest(), grpc_context=Context(token))).ready
        answered = await replica.ModelInfer(infer, grpc_context=Context(token))
        assert answered.model_name == "gated"
        transport = httpx.ASGITransport(
            Starlette(routes=[Route("/{path:path}", replica.__call__, methods=["GET", "POST"])])
        )
        async with httpx.AsyncClient(transport=transport, base_url="http://ray") as client:
            assert (await client.get("/v2/health/ready")).status_code == 401
            headers = {"authorization": f"Bearer {token}"}
            assert (await client.get("/v2/health/ready", headers=headers)).json() == {"ready": True}
            assert (await client.get("/v3", headers=headers)).status_code == 404
            pixels = {"name": "pixels", "datatype": "UINT8", "shape": [1, 1, 1, 3], "data": [1, 1, 1]}
            sent = [
                (await client.post("/v2/models/gated/infer", json={"inputs": [pixels]}, headers=headers)).status_code
                for _ in range(40)
            ]
        assert sent[0] == 200 and sent[-1] == 429  # the two over gRPC count too
        assert sent.count(200) == 30
        with pytest.raises(Ended, match="RESOURCE_EXHAUSTED"):
            await replica.ModelInfer(infer, grpc_context=Context(token))
    finally:
        await replica.stop()


@pytest.mark.filterwarnings("ignore")
async def test_standard_clients_are_answered_by_option_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cloud_server.open_inference import open_inference_pb2 as oip
    from cloud_server.ray_options import Options
    from cloud_server.ray_replica import Offload

    path, _ = several(tmp_path, monkeypatch)
    write(path, ("gated", "a", None))
    replica: Any = Offload(Options(models=str(path)), None)
    try:
        with pytest.raises(Ended, match="UNIMPLEMENTED"):
            await replica.ServerLive(oip.ServerLiveRequest(), grpc_context=Context())
    finally:
        await replica.stop()
