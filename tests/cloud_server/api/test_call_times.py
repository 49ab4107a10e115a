from __future__ import annotations

import dataclasses

import grpc
import pytest
from gated_model import GatedModel, picture
from open_inference_parts import CONFIG

from cloud_server.server import CloudServer
from edge_sdk.types import new_frame_id
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc

SERVICE = "edge_sdk.v1.Offload"


async def test_calls_are_counted_by_method_and_status() -> None:
    async with (
        CloudServer(dataclasses.replace(CONFIG, http_port=None), GatedModel()) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        stub = wire_grpc.OffloadStub(channel)
        for _ in range(2):
            await stub.Classify(wire.ClassifyRequest(frame_id=new_frame_id(), image=picture(1)))
        async for _ in stub.Stream([wire.ClassifyRequest(frame_id=new_frame_id(), image=picture(1))]):
            pass
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.Report(wire.ReportRequest())
        with pytest.raises(grpc.aio.AioRpcError):
            await channel.unary_unary(f"/{SERVICE}/Whatever")(b"")
        told = {(method, status): one.read()[0][-1][1] for method, status, one in server.stats.measures.calls()}
        stages = {name: one.read()[0][-1][1] for name, one in server.stats.measures.stages.items()}
    assert told == {
        (f"{SERVICE}/Classify", "OK"): 2,
        (f"{SERVICE}/Stream", "OK"): 1,
        (f"{SERVICE}/Report", "UNIMPLEMENTED"): 1,
    }
    assert stages == {"queue": 3, "decode": 3, "run": 3}
