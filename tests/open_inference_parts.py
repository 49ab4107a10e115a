"""Requests of the Open Inference Protocol, and a real server for them in the test's own loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gated_model import GatedModel

from cloud_server import models
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


class Named(GatedModel):
    """A gated model that is told from others by the name of its weights."""

    def __init__(self, weights: str) -> None:
        super().__init__()
        self.name = weights
        self.fingerprint = weights


def several(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, dict[str, Named]]:
    """A file of models, and those that were loaded, by their weights; `write` fills it."""
    loaded: dict[str, Named] = {}

    def load(weights: str, *_: object) -> Named:
        loaded[weights] = Named(weights)
        return loaded[weights]

    monkeypatch.setattr(models, "load_model", load)
    return folder / "models.toml", loaded


def write(path: Path, *entries: tuple[str, str, float | None]) -> None:
    """Write a file of models: name, weights and share of each."""
    text = ""
    for name, weights, share in entries:
        text += f'[[models]]\nname = "{name}"\nweights = "{weights}"\n'
        text += "" if share is None else f"share = {share}\n"
    path.write_text(text)
