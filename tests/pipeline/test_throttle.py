"""The order in which frames give way, and the energy that a run costs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_sdk.budget.ledger import Ledger
from edge_sdk.budget.limits import Budget, Resource
from edge_sdk.camera.gate import GateReason
from edge_sdk.config import PowerModel
from edge_sdk.errors import ConfigError
from edge_sdk.model.bundle import open_bundle
from edge_sdk.model.little import LittleModel
from edge_sdk.pipeline.throttle import Throttle
from edge_sdk.types import Region, View


@pytest.fixture(scope="module")
def model() -> Iterator[LittleModel]:
    with LittleModel(open_bundle("trailcam")) as opened:
        yield opened


def filled(tmp_path: Path, share: float) -> Ledger:
    ledger = Ledger(tmp_path / "ledger.db", budgets=[Budget(1000, 86_400, Resource.COMPUTE)])
    assert ledger.try_spend(compute=round(1000 * share))
    return ledger


@pytest.mark.parametrize(
    ("share", "moving", "idle"),
    [(0.0, 8, 8), (0.69, 8, 8), (0.70, 8, 0), (0.84, 8, 0), (0.85, 4, 0), (0.94, 4, 0), (0.95, 2, 0), (1.0, 2, 0)],
)
def test_frames_give_way_in_the_stated_order(
    tmp_path: Path, model: LittleModel, share: float, moving: int, idle: int
) -> None:
    with filled(tmp_path, share) as ledger:
        throttle = Throttle(model, ledger, PowerModel())
        assert sum(not throttle.passes_over(GateReason.MOTION) for _ in range(8)) == moving
        assert sum(not throttle.passes_over(GateReason.HEARTBEAT) for _ in range(8)) == idle
        assert sum(not throttle.passes_over(GateReason.HOLD) for _ in range(8)) == idle


def test_without_a_gate_the_rate_gives_way(tmp_path: Path, model: LittleModel) -> None:
    with filled(tmp_path, 0.9) as ledger:
        throttle = Throttle(model, ledger, PowerModel())
        assert sum(not throttle.passes_over(None) for _ in range(8)) == 4


def test_a_run_is_charged_by_its_time(tmp_path: Path, model: LittleModel) -> None:
    image = np.zeros((48, 64, 3), np.uint8)
    with Ledger(tmp_path / "ledger.db", budgets=[Budget(10**9, 86_400, Resource.ENERGY)]) as ledger:
        throttle = Throttle(model, ledger, PowerModel(active_watts=2.0))
        assert throttle.predict(image) is not None
        first = ledger.snapshot().spent(Resource.ENERGY)
        assert first >= 2.0 * 0.02 * 1e6
        assert throttle.predict(image) is not None
        assert ledger.snapshot().spent(Resource.ENERGY) > first


def test_a_spent_energy_budget_runs_nothing(tmp_path: Path, model: LittleModel) -> None:
    with Ledger(tmp_path / "ledger.db", budgets=[Budget(10, 86_400, Resource.ENERGY)]) as ledger:
        throttle = Throttle(model, ledger, PowerModel(active_watts=2.0))
        assert throttle.predict(np.zeros((48, 64, 3), np.uint8)) is None
        assert ledger.snapshot().spent(Resource.ENERGY) == 0


IMAGE = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
REGION = Region(100, 80, 30, 30, 1.0)


@pytest.mark.parametrize(
    ("frames_paid", "spent", "region", "view", "expected"),
    [
        (100, 0, REGION, View.BOTH, 2),
        (100, 0, REGION, View.FRAME, 1),
        (100, 0, REGION, View.REGION, 1),
        (100, 0, REGION, None, 2),
        (100, 0, None, View.BOTH, 1),
        (100, 69, REGION, View.BOTH, 2),
        (100, 70, REGION, View.BOTH, 1),
        (100, 99, REGION, View.BOTH, 1),
        (100, 100, REGION, View.BOTH, 0),
        (1, 0, REGION, View.BOTH, 1),
    ],
)
def test_each_look_is_charged_and_the_region_alone_is_seen_where_the_budget_runs_low(
    tmp_path: Path,
    model: LittleModel,
    frames_paid: int,
    spent: int,
    region: Region | None,
    view: View | None,
    expected: int,
) -> None:
    budget = Budget(frames_paid * model.macs, 86_400, Resource.COMPUTE)
    with Ledger(tmp_path / "ledger.db", budgets=[budget]) as ledger:
        assert ledger.try_spend(compute=spent * model.macs)
        run = Throttle(model, ledger, PowerModel(), view).predict(IMAGE, region)
        charged = ledger.snapshot().spent(Resource.COMPUTE)
    assert charged == (spent + expected) * model.macs
    if run is None:
        assert expected == 0
        return
    assert run.macs == expected * model.macs
    seen = view if expected > 1 or view is not View.BOTH else View.REGION  # None: the shipped bundle looks at both
    np.testing.assert_array_equal(run.prediction.probabilities, model.predict(IMAGE, region, seen).probabilities)
    assert run.region == (None if view is View.FRAME else region)


def test_two_looks_take_the_energy_of_two(tmp_path: Path, model: LittleModel) -> None:
    with Ledger(tmp_path / "ledger.db", budgets=[Budget(10**9, 86_400, Resource.ENERGY)]) as ledger:
        assert Throttle(model, ledger, PowerModel(active_watts=2.0), View.BOTH).predict(IMAGE, REGION) is not None
        assert ledger.snapshot().spent(Resource.ENERGY) >= 2 * 2.0 * 0.02 * 1e6


def test_a_power_model_is_checked() -> None:
    for bad in ({"active_watts": -1.0}, {"joules_per_byte": float("nan")}):
        with pytest.raises(ConfigError, match="at least 0"):
            PowerModel(**bad)
