"""Exit sequences as files."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from cloud_server.model.big import load_model
from edge_sdk.errors import WorkbenchError
from edge_sdk.model.bundle import InputSpec
from edge_sdk.networks.checkpoint import create_model
from edge_sdk.networks.sequence import SequenceModel, attach_exits
from edge_sdk.networks.sequence_file import is_sequence, load_sequence, save_sequence
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


def test_a_sequence_is_one_file_that_a_server_runs(tmp_path: Path) -> None:
    model = made()
    train_exits(model, features(model), epochs=2)
    info = msgspec.structs.replace(model.info, thresholds=(0.4, *((float("inf"),) * (len(model.info.modules) - 1))))
    path = save_sequence(tmp_path / "seq.safetensors", SequenceModel(model.big, model.exits, info))
    assert is_sequence(path)
    again = load_sequence(path)
    assert again.info == info
    served = load_model(str(path), "cpu")
    pictures = [served.prepare(np.full((48, 64, 3), level, np.uint8)) for level in (0, 90, 200)]
    little = np.array([0.05, 0.05, 0.9], np.float32)
    rows, macs = served.run(pictures, [little, None, np.ones(2, np.float32)])
    assert rows.sum(axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    assert macs[0] < sum(info.way_macs) <= macs[1] == macs[2]
    assert served.labels == LABELS


def test_files_that_are_no_sequences_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"no")
    assert not is_sequence(tmp_path / "x.safetensors")
    with pytest.raises(WorkbenchError, match="expected an exit sequence"):
        load_sequence(tmp_path / "x.safetensors")
    with pytest.raises(WorkbenchError, match="expected an exit sequence"):
        load_sequence(tmp_path / "none.safetensors")
    big, info = create_model("resnet10t", labels=LABELS, input=SPEC)
    with pytest.raises(WorkbenchError, match="expected a little model with the big one's labels"):
        attach_exits(big, info, find_taps(big, 64, 64), ("cat", "dog", "fox"))
    with pytest.raises(WorkbenchError, match="no intermediate features"):
        find_taps(torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1)), 8, 8)
