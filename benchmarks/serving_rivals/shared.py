"""What all of them serve: the shipped big model as our server loads it, by the same decoder."""

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


class Model:
    """Decodes in a pool of two threads, as ours does, and runs batches."""

    def __init__(self) -> None:
        self.model = load_model("trailcam", "cpu", THREADS, ENGINE)
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
