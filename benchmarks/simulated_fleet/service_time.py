"""How long a server takes for frames: measured on one core of this machine, or given for a GPU."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from cloud_server.model.big import load_model
from cloud_server.model.decode import Limits, decode
from edge_sdk.images.encode import encode
from edge_sdk.images.rendition import Upload

SIZES = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True, slots=True)
class ServiceTime:
    """What frames cost.

    Attributes:
        decode_s: seconds of one decoder for one picture; 0 where `run_s` has it.
        decoders: pictures that are decoded side by side.
        sizes: frames in one run of the model.
        run_s: seconds for a run of each of these sizes.
        max_batch: most frames in one run.
    """

    decode_s: float
    decoders: int
    sizes: Sequence[int]
    run_s: Sequence[float]
    max_batch: int

    def of(self, frames: int) -> float:
        """Seconds for one run of the model on so many frames."""
        return float(np.interp(frames, self.sizes, self.run_s))

    @property
    def frames_per_s(self) -> float:
        """Frames that are answered in a second at the most."""
        model = self.max_batch / self.of(self.max_batch)
        return min(model, self.decoders / self.decode_s) if self.decode_s else model


def picture() -> bytes:
    """A frame as devices send it: 320 pixels wide, JPEG at quality 80, with the detail of a photo; about 12 kB."""
    rng = np.random.default_rng(0)
    layers = [cv2.resize(rng.normal(0, 40 / 2**k, (15 << k, 20 << k, 3)), (320, 240)) for k in range(5)]
    return encode(np.clip(128 + sum(layers), 0, 255).astype(np.uint8), Upload(max_side=320, quality=80))


def measure_core(model: str, repeats: int = 5) -> ServiceTime:
    """Decode and run `model` with one thread; CPU seconds, the least of the repeats, so that neighbours count little.

    Decoding and the model share the core, so that decoding is part of a run here.
    """
    big, image = load_model(model, "cpu", 1), picture()

    def cpu_s(work: Callable[[], object]) -> float:
        taken = []
        for _ in range(repeats):
            began = time.thread_time()
            work()
            taken.append(time.thread_time() - began)
        return min(taken)

    decoded = big.prepare(decode(image, Limits()))
    decode_s = cpu_s(lambda: big.prepare(decode(image, Limits())))
    big.run([decoded] * 8, [None] * 8)
    runs = [cpu_s(partial(big.run, [decoded] * size, [None] * size)) for size in SIZES]
    best = min(range(len(SIZES)), key=lambda index: runs[index] / SIZES[index])
    return ServiceTime(
        0.0, 2, SIZES, [run + size * decode_s for run, size in zip(runs, SIZES, strict=True)], SIZES[best]
    )


def gpu(frames_per_s: float, alone_ms: float, decode_ms: float, cores: int) -> ServiceTime:
    """A GPU that answers `frames_per_s` at batch 32 and a lone frame in `alone_ms`, beside decoders on its host."""
    return ServiceTime(decode_ms / 1000, cores, (1, 32), (alone_ms / 1000, max(alone_ms / 1000, 32 / frames_per_s)), 32)
