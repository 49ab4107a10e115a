"""Requests of the Open Inference Protocol, and a real server for them in the test's own loop."""

from __future__ import annotations

from typing import Any

from cloud_server.open_inference import open_inference_pb2 as oip
from cloud_server.server import ServerConfig

CONFIG = ServerConfig(port=0, max_batch=4, open_inference=True, http_port=0)


def framed(*files: bytes) -> bytes:
    """BYTES elements as raw contents."""
    return b"".join(len(one).to_bytes(4, "little") + one for one in files)


def request(
    name: str = "image", datatype: str = "BYTES", shape: tuple[int, ...] = (1, 1), **fields: Any
) -> oip.ModelInferRequest:
    """A request to the gated model with one input."""
    given = oip.ModelInferRequest.InferInputTensor(name=name, datatype=datatype, shape=shape)
    return oip.ModelInferRequest(**{"model_name": "gated", "inputs": [given], **fields})
