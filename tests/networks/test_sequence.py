"""Frames leave an exit sequence one by one."""

from __future__ import annotations

import msgspec
import torch
from sequence_parts import features, made

from edge_sdk.networks.sequence import SequenceModel
from edge_sdk.workbench.sequence.train import (
    train_exits,
)


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
