"""Frames leave an exit sequence one by one."""

from __future__ import annotations

import msgspec
import numpy as np
import torch

from edge_sdk.model.bundle import InputSpec
from edge_sdk.networks.checkpoint import create_model
from edge_sdk.networks.sequence import SequenceModel, attach_exits
from edge_sdk.networks.taps import find_taps
from edge_sdk.workbench.sequence.train import (
    Features,
    train_exits,
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


def test_frames_leave_one_by_one_and_the_rest_are_answered_as_if_alone() -> None:
    model = made()
    train_exits(model, features(model), epochs=1)
    inputs = torch.randn(12, 3, 64, 64)
    little = torch.rand(12, 3).softmax(1)
    found, logits = model.features(inputs)
    with torch.inference_mode():
        every = model.exits(found, model.little_logits(little)).softmax(2).amax(2)
    level = float(every.median())
    info = model.info
    model = SequenceModel(
        model.big, model.exits, msgspec.structs.replace(info, thresholds=(level,) * len(info.modules))
    )
    said = model.run(inputs, little)
    assert len(set(said.exits.tolist())) > 1
    for row in range(12):
        sure = (every[row] >= level).nonzero().flatten()
        where = int(sure[0]) if len(sure) else len(info.modules)
        assert int(said.exits[row]) == where
        spent = sum(info.way_macs[: where + 1]) + sum(info.exit_macs[: min(where + 1, len(info.modules))])
        assert int(said.macs[row]) == spent
        alone = model.run(inputs[row : row + 1], little[row : row + 1])
        assert torch.allclose(alone.probabilities[0], said.probabilities[row], atol=1e-4)
        if where == len(info.modules):
            assert torch.allclose(said.probabilities[row], logits[row].softmax(0), atol=1e-4)
    none = model.run(inputs, little, torch.zeros(12, dtype=torch.bool))
    assert torch.allclose(none.probabilities, logits.softmax(1), atol=1e-4)
