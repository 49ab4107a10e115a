"""Ray's own gRPC server, in this process, with the services of `deploy/ray.yaml` and a replica behind them."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from gated_model import GatedModel, picture
from grpc_health.v1 import health_pb2, health_pb2_grpc
from open_inference_parts import framed
from open_inference_parts import request as asked

from cloud_server import models
from cloud_server.open_inference import open_inference_pb2 as oip
from cloud_server.open_inference import open_inference_pb2_grpc as oip_grpc
from cloud_server.ray_call import Ended
from edge_sdk.types import new_frame_id
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire import offload_pb2_grpc as wire_grpc

pytest.importorskip("ray", reason='needs Ray: pip install ".[cloud,ray]"')

CONFIG = Path(__file__).resolve().parents[3] / "deploy" / "ray.yaml"


@pytest.mark.filterwarnings("ignore")  # of Ray's own code
async def test_rays_server_takes_all_services(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.serve._private.grpc_util import gRPCGenericServer
    from ray.serve._private.proxy_request_response import gRPCStreamingType
    from ray.serve.config import gRPCOptions
    from ray.serve.grpc_util import RayServegRPCContext

    from cloud_server.ray_options import Options
    from cloud_server.ray_replica import Offload

    monkeypatch.setattr(models, "load_model", lambda *_: GatedModel())
    replica = Offload(Options(open_inference=True), None)

    def handler(service_method: str, streaming_type: gRPCStreamingType) -> Callable[..., Any]:
        method = getattr(replica, service_method.rpartition("/")[2], None)

        async def single(request: Any, context: Any) -> bytes:
            shown = RayServegRPCContext(context)
            request = pickle.loads(pickle.dumps(request))  # as between Ray's processes
            try:
                reply = await method(request, grpc_context=shown)  # type: ignore[misc]
            except Ended:
                shown._set_on_grpc_context(context)
                return b""
            return bytes(reply.SerializeToString())

        async def stream(requests: Any, context: Any) -> Any:
            async for reply in method(requests, grpc_context=RayServegRPCContext(context)):  # type: ignore[misc]
                yield reply.SerializeToString()

        return single if streaming_type is gRPCStreamingType.UNARY_UNARY else stream

    server = gRPCGenericServer(handler)
    port = server.add_insecure_port("127.0.0.1:0")
    adders = yaml.safe_load(CONFIG.read_text())["grpc_options"]["grpc_servicer_functions"]
    for add in gRPCOptions(grpc_servicer_functions=adders).grpc_servicer_func_callable:
        add(object.__new__(_Anything), server)
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            device, client = wire_grpc.OffloadStub(channel), oip_grpc.GRPCInferenceServiceStub(channel)
            request = wire.ClassifyRequest(frame_id=new_frame_id(), image=picture(1))
            assert (await device.Classify(request)).classification.label == "grey fox"
            stream = device.Stream()
            await stream.write(request)
            assert (await stream.read()).classification.label == "grey fox"
            await stream.done_writing()
            assert (await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())).status == 1
            assert (await client.ServerLive(oip.ServerLiveRequest())).live
            infer = asked(shape=(2, 1), raw_input_contents=[framed(picture(1), picture(2))])
            assert (await client.ModelInfer(infer)).model_name == "gated"
            too_many = asked(raw_input_contents=[b""] * 5000)
            with pytest.raises(grpc.aio.AioRpcError, match="expected at most 4,096 fields in a request") as refused:
                await client.ModelInfer(too_many)
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    finally:
        await server.stop(None)
        await replica.stop()


class _Anything:
    """A servicer with every method, of which none is called: Ray puts its own in their place."""

    def __getattr__(self, name: str) -> Any:
        return name
