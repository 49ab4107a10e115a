"""The state of a training on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.spent import Spent
from edge_sdk.workbench.train_state import TrainState, read_state

CPU = torch.device("cpu")


def test_a_state_comes_back_whole(tmp_path: Path) -> None:
    path = tmp_path / "m.state"
    assert read_state(path, {}, CPU) is None
    spent = Spent(2, 3.5, 1000)
    TrainState({"epochs": "3"}, {"w": torch.ones(2)}, {"lr": 1.0}, [torch.zeros(1)], 7, spent).write(path)
    found = read_state(path, {"epochs": "3"}, CPU)
    assert found is not None
    assert torch.equal(found.module["w"], torch.ones(2)) and torch.equal(found.average[0], torch.zeros(1))
    assert (found.optimizer, found.step, found.spent) == ({"lr": 1.0}, 7, spent)


def test_a_state_of_other_settings_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.state"
    TrainState({"epochs": "3", "seed": "0"}, {}, {}, [], 7, Spent()).write(path)
    with pytest.raises(WorkbenchError, match="other settings: epochs was 3, now 4"):
        read_state(path, {"epochs": "4", "seed": "0"}, CPU)
    torch.save({"config": "text"}, path)
    with pytest.raises(WorkbenchError, match="earlier version"):
        read_state(path, {}, CPU)
