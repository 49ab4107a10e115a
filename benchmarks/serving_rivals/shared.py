"""What all of them serve: the shipped big model as our server runs it, or as timm gives it, and one decoder."""

# mypy: ignore-errors
from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from cloud_server.model.big import load_model
from cloud_server.model.decode import Limits, decode
from edge_sdk.types import Image

PORT, THREADS = int(os.environ.get("SERVING_PORT", "0")), int(os.environ.get("SERVING_THREADS", "2"))
ENGINE = os.environ.get("SERVING_ENGINE", "torch")
BATCH, WAIT_S = 32, 0.005


def plain_model():
    """The shipped model as timm gives it: run as it is, normalised as our server does."""
    import torch

    from cloud_server.model.big import SHIPPED
    from edge_sdk.model.inputs import prepare
    from edge_sdk.networks.checkpoint import create_model

    torch.set_num_threads(THREADS)
    module, info = create_model(str(SHIPPED / "trailcam" / "model.safetensors"), pretrained=False)
    mean, std = (torch.tensor(value)[:, None, None] for value in (info.input.mean, info.input.std))
    module.eval()

    class Plain:
        def prepare(self, image):
            return prepare(image, info.input)

        def run(self, images, little):
            with torch.inference_mode():
                pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
                return (module((pixels - mean) / std).softmax(dim=1).numpy(),)

    return Plain()


class Model:
    """Decodes in a pool of two threads, as ours does, and runs batches."""

    def __init__(self) -> None:
        self.model = plain_model() if ENGINE == "plain" else load_model("trailcam", "cpu", THREADS, ENGINE)
        self.pool = ThreadPoolExecutor(2)
        blank = np.zeros((480, 640, 3), np.uint8)
        for size in (1, 8, 32):
            self.model.run([self.model.prepare(blank)] * size, [None] * size)

    def decode(self, data: bytes) -> Image:
        """A JPEG as the model's input."""
        return self.model.prepare(decode(data, Limits()))

    def answer(self, datas: list[bytes]) -> list[bytes]:
        """The probabilities of each, `float32`."""
        images = list(self.pool.map(self.decode, datas))
        rows = self.model.run(images, [None] * len(images))[0]
        return [row.tobytes() for row in rows]
