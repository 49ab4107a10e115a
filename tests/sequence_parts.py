"""A small exit sequence and features for it."""

from __future__ import annotations

import numpy as np
import torch

from edge_sdk.model.bundle import InputSpec
from edge_sdk.networks.checkpoint import create_model
from edge_sdk.networks.sequence import SequenceModel, attach_exits
from edge_sdk.networks.taps import find_taps
from edge_sdk.workbench.sequence.train import (
    Features,
)

LABELS = ("deer", "empty", "fox")
SPEC = InputSpec(64, 64, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def made(arch: str = "resnet10t", labels: tuple[str, ...] = LABELS, spec: InputSpec = SPEC) -> SequenceModel:
    torch.manual_seed(0)
    options = {"channels": [8, 16, 24, 32], "stem_width": 8} if arch == "resnet10t" else {}
    big, info = create_model(arch, labels=labels, input=spec, options=options)
    taps = find_taps(big, spec.width, spec.height, most=3)
    return attach_exits(big, info, taps, labels[::-1], dim=16, heads=2)


def features(model: SequenceModel, count: int = 400, seed: int = 0) -> Features:
    """Features that say more from exit to exit, and a little model that is right on half."""
    rng = np.random.default_rng(seed)
    truths = rng.integers(0, 3, count)

    def hinting(width: int, strength: float) -> np.ndarray:
        found = rng.normal(0, 1, (count, width)).astype(np.float32)
        found[np.arange(count), truths] += strength
        return found

    exits = tuple(hinting(c, 2.0 * (i + 1)) for i, c in enumerate(model.info.channels))
    big = hinting(3, 6.0)
    logits = hinting(3, 1.0)
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return Features(exits, big, chances[:, ::-1].copy(), truths)
