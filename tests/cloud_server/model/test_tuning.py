"""The batch that suits a model, found on this machine."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cloud_server.model.big import load_model
from cloud_server.model.torch_model import TorchModel
from cloud_server.model.tuning import warm_up
from edge_sdk.types import Image


class Paced:
    """A network's run that takes so long for a batch of each size, in the clock's eyes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: dict[int, float]) -> None:
        self.now, self.sizes, self._seconds = 0.0, list[int](), seconds
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

    def run(self, images: Sequence[Image], little: Sequence[Any]) -> tuple[Any, Any]:
        self.sizes.append(len(images))
        self.now += self._seconds[len(images)]
        return np.zeros((len(images), 2), np.float32), np.zeros(len(images), np.int64)


@pytest.mark.parametrize(
    ("seconds", "best"),
    [
        ({1: 10, 2: 16, 4: 28, 8: 40, 16: 79, 20: 98}, 20),  # of those that are alike the largest
        ({1: 10, 2: 19, 4: 36, 8: 60, 16: 100, 20: 110}, 20),
        ({1: 10, 2: 21, 4: 43, 8: 90, 16: 220, 20: 290}, 4),
        ({1: 10, 2: 26, 4: 60, 8: 120, 16: 260, 20: 330}, 1),
    ],
)
def test_the_largest_batch_near_the_best_is_taken(
    seconds: dict[int, float], best: int, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(str(checkpoint), "cpu", 1)
    assert isinstance(model, TorchModel)
    paced = Paced(monkeypatch, seconds)
    monkeypatch.setattr(model, "run", paced.run)
    assert warm_up(model, 20) == best
    assert set(paced.sizes) == set(seconds)


def test_other_models_get_the_largest_batch(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model(str(checkpoint), "cpu", 1)
    assert isinstance(model, TorchModel)
    model.on_gpu = True
    paced = Paced(monkeypatch, {1: 1.0, 8: 9.0})
    monkeypatch.setattr(model, "run", paced.run)
    assert warm_up(model, 8) == 8 and sorted(paced.sizes) == [1, 8]


def test_a_real_network_gets_some_batch(checkpoint: Path) -> None:
    assert 1 <= warm_up(load_model(str(checkpoint), "cpu", 1), 4) <= 4
