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
    """A network's run that takes so long for a batch of each size, in the clock's eyes; the `slow`th one longer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: dict[int, float], slow: int = 0) -> None:
        self.now, self.sizes, self._seconds = 0.0, list[int](), seconds
        self._slow = slow
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)

    def run(self, images: Sequence[Image], little: Sequence[Any]) -> tuple[Any, Any]:
        self.sizes.append(len(images))
        self.now += self._seconds[len(images)] + 5 * (len(self.sizes) == self._slow)
        return np.zeros((len(images), 2), np.float32), np.zeros(len(images), np.int64)


@pytest.mark.parametrize(
    ("one_s", "best", "tried"),
    [
        (0.001, 20, 20),
        (0.01, 20, 20),
        (0.03, 8, 16),
        (0.035, 8, 8),  # 16 are known to take too long
        (0.055, 4, 8),
        (0.3, 1, 1),
        (9.0, 1, 1),
    ],
)
@pytest.mark.parametrize("at_once", [4, 32])
@pytest.mark.parametrize("hiccups", [0, 1, 2, 3])
def test_the_largest_batch_that_runs_shortly_is_taken_whatever_disturbs_one_run(
    one_s: float, best: int, tried: int, hiccups: int, at_once: int, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(str(checkpoint), "cpu", 1)
    assert isinstance(model, TorchModel)
    paced = Paced(monkeypatch, {size: size * one_s for size in (1, 2, 4, 8, 16, 20)}, slow=hiccups)
    monkeypatch.setattr(model, "run", paced.run)
    monkeypatch.setattr(model, "at_once", lambda size: min(size, at_once))
    batch, runs_s = warm_up(model, 20)
    assert batch == best
    assert sorted(runs_s) == [size for size in (1, 2, 4, 8, 16, 20) if size <= best]
    assert runs_s == pytest.approx({size: size * one_s for size in runs_s})
    assert max(paced.sizes) == min(tried, at_once)  # more at a time are known by these


def test_other_models_get_the_largest_batch(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_model(str(checkpoint), "cpu", 1)
    assert isinstance(model, TorchModel)
    model.on_gpu = True
    paced = Paced(monkeypatch, {1: 1.0, 8: 9.0})
    monkeypatch.setattr(model, "run", paced.run)
    assert warm_up(model, 8) == (8, {}) and sorted(paced.sizes) == [1, 8]


def test_a_real_network_gets_some_batch(checkpoint: Path) -> None:
    assert 1 <= warm_up(load_model(str(checkpoint), "cpu", 1), 4)[0] <= 4


def test_waiting_for_other_models_is_no_time_of_a_run(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Busy:
        """A turn that another model has for three seconds, each time that it is asked for."""

        def __enter__(self) -> None:
            paced.now += 3.0

        def __exit__(self, *error: object) -> None:
            pass

    model = load_model(str(checkpoint), "cpu", 1)
    paced = Paced(monkeypatch, {1: 0.01, 2: 0.02, 4: 0.04, 8: 0.08})
    monkeypatch.setattr(model, "run", paced.run)
    batch, runs_s = warm_up(model, 8, Busy())
    assert batch == 8 and runs_s == pytest.approx({1: 0.01, 2: 0.02, 4: 0.04, 8: 0.08})
