from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import numpy as np
import pytest
from gated_model import GatedModel, picture

from cloud_server.open_inference import open_inference_pb2 as oip
from cloud_server.open_inference import open_inference_pb2_grpc as oip_grpc
from cloud_server.server import CloudServer, ServerConfig

CONFIG = ServerConfig(port=0, max_batch=4, open_inference=True)


@pytest.fixture
def model() -> GatedModel:
    return GatedModel()


@pytest.fixture
async def server(model: GatedModel) -> AsyncIterator[CloudServer]:
    async with CloudServer(CONFIG, model) as it:
        yield it


@pytest.fixture
async def stub(server: CloudServer) -> AsyncIterator[oip_grpc.GRPCInferenceServiceStub]:
    async with grpc.aio.insecure_channel(server.address) as channel:
        yield oip_grpc.GRPCInferenceServiceStub(channel)


def framed(*files: bytes) -> bytes:
    return b"".join(len(one).to_bytes(4, "little") + one for one in files)


def request(
    name: str = "image", datatype: str = "BYTES", shape: tuple[int, ...] = (1, 1), **fields: Any
) -> oip.ModelInferRequest:
    given = oip.ModelInferRequest.InferInputTensor(name=name, datatype=datatype, shape=shape)
    return oip.ModelInferRequest(model_name="gated", inputs=[given], **fields)


async def test_files_pixels_and_planes_are_answered_alike(stub: oip_grpc.GRPCInferenceServiceStub) -> None:
    levels = [3, 4, 5]
    pixels = np.stack([np.full((9, 12, 3), level, np.uint8) for level in levels])
    planes = (pixels.transpose(0, 3, 1, 2) / 255).astype("<f4")
    for asked in (
        request(shape=(3,), raw_input_contents=[framed(*map(picture, levels))], id="a"),
        request("pixels", "UINT8", pixels.shape, raw_input_contents=[pixels.tobytes()], id="a"),
        request("planes", "FP32", planes.shape, raw_input_contents=[planes.tobytes()], id="a"),
    ):
        reply = await stub.ModelInfer(asked)
        assert (reply.model_name, reply.model_version, reply.id) == ("gated", "1", "a")
        assert [(one.name, one.datatype, list(one.shape)) for one in reply.outputs] == [
            ("probabilities", "FP32", [3, 3]),
            ("label", "BYTES", [3, 1]),
        ]
        rows = np.frombuffer(reply.raw_output_contents[0], "<f4").reshape(3, 3)
        assert np.array_equal(rows, np.eye(3))
        assert reply.raw_output_contents[1] == framed(b"red fox", b"grey fox", b"deer")
