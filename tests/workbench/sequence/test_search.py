"""A search for exits that are worth their compute."""

from __future__ import annotations

import msgspec
import numpy as np
import torch

from edge_sdk.model.bundle import InputSpec
from edge_sdk.networks.checkpoint import create_model
from edge_sdk.networks.sequence import SequenceModel, attach_exits
from edge_sdk.networks.taps import find_taps
from edge_sdk.workbench.sequence.search import find_exits, stages, with_exits
from edge_sdk.workbench.sequence.train import (
    Features,
    exit_logits,
    fit_temperatures,
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


def test_exits_learn_what_the_little_model_lacks_and_a_search_uses_them() -> None:
    model = made()
    train, calibration, test = (features(model, 1500, seed) for seed in range(3))
    before = exit_logits(model, test)
    little = test.little[:, ::-1].argmax(1)
    assert (before[:, 0].argmax(1) == little).all()  # untrained, an exit answers as the little model does
    train_exits(model, train, epochs=15)
    accuracy = (exit_logits(model, test).argmax(2) == test.truths[:, None]).mean(0)
    assert accuracy[-1] > accuracy[0] > (little == test.truths).mean() + 0.1
    model = SequenceModel(
        model.big, model.exits, msgspec.structs.replace(model.info, temperatures=fit_temperatures(model, calibration))
    )
    found = find_exits(model, calibration, test, little_macs=1e4, drop=0.01)
    assert found.evaluated.accuracy >= found.big_accuracy - 0.04
    assert found.evaluated.macs < found.single.macs
    whole = with_exits(model, found)
    assert whole.info.thresholds == found.chosen.thresholds[1:]
    assert [stage.name for stage in stages(model, test, 1.0)] == ["device", *model.info.modules, "big model"]
