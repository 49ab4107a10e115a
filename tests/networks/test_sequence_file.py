"""Exit sequences as files."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from sequence_parts import LABELS, SPEC, features, made

from cloud_server.model.big import load_model
from cloud_server.model.ticket import Ran
from cloud_server.model.torch_model import SequenceModel as ServedSequence
from edge_sdk.errors import WorkbenchError
from edge_sdk.networks.checkpoint import create_model
from edge_sdk.networks.sequence import SequenceModel, attach_exits
from edge_sdk.networks.sequence_file import is_sequence, load_sequence, save_sequence
from edge_sdk.networks.taps import find_taps
from edge_sdk.workbench.sequence.train import (
    train_exits,
)


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
    assert isinstance(served, ServedSequence) and served.exits == (*info.modules, "big model")
    rows, macs, exits = Ran(*served.run(pictures, [little, None, np.ones(2, np.float32)]))
    assert rows.sum(axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    assert macs[0] < sum(info.way_macs) <= macs[1] == macs[2]
    assert exits is not None
    assert [served.exits[left_at] for left_at in exits] == [info.modules[0], "big model", "big model"]
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
