"""Prices: against brute force, under spending, and over restarts."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.budget.ledger import Ledger
from edge_sdk.budget.limits import Budget, Resource
from edge_sdk.budget.shadow_price import Price, Prices

DAY_S = 86_400.0
_BIN = 2**0.25

asks = st.lists(st.tuples(st.floats(0.001, 1.0), st.integers(100, 50_000)), min_size=1, max_size=40)


@given(asks, st.integers(1, 500_000))
def test_the_price_is_where_demand_meets_what_the_budget_gives(asked: list[tuple[float, int]], limit: int) -> None:
    price = Price(limit, DAY_S, pull=0.0)
    price.ask(0.0, 0.0, 0.0)
    for gain, cost in asked:
        price.ask(gain, cost, 10 * DAY_S)
    found = price.per_unit(0, 10 * DAY_S)
    given_units = limit * -math.expm1(-10)
    above = sum(cost for gain, cost in asked if gain / cost >= found * _BIN)
    at_least = sum(cost for gain, cost in asked if gain / cost >= found / _BIN)
    assert above <= given_units + 1e-6 * limit
    if found > 0:
        assert at_least >= given_units * (1 - 1e-9)
    else:
        assert sum(cost for _, cost in asked) <= given_units * (1 + 1e-9)


@given(asks, st.floats(0, 1), st.floats(0, 1))
def test_a_fuller_budget_is_dearer(asked: list[tuple[float, int]], one: float, two: float) -> None:
    price = Price(100_000, DAY_S)
    for index, (gain, cost) in enumerate(asked):
        price.ask(gain, cost, index * 600.0)
    low, high = sorted((one, two))
    now_s = len(asked) * 600.0
    assert price.per_unit(low * 100_000, now_s) <= price.per_unit(high * 100_000, now_s)


def test_a_budget_that_pays_for_all_costs_nothing_and_an_empty_one_everything() -> None:
    price = Price(10_000_000, DAY_S)
    assert price.per_unit(0, 0.0) == 0.0
    price.ask(0.5, 1000, 0.0)
    assert price.per_unit(0, 1.0) == 0.0
    nothing = Price(0, DAY_S)
    nothing.ask(0.5, 1000, 0.0)
    assert nothing.per_unit(0, 1.0) == math.inf


def test_demand_of_long_ago_is_forgotten() -> None:
    price = Price(100_000, DAY_S)
    for index in range(100):
        price.ask(0.9, 10_000, index * 60.0)
    assert price.per_unit(50_000, 6000.0) > 0
    assert price.per_unit(50_000, 30 * DAY_S) == 0.0


def test_a_long_run_spends_the_budget_on_the_best() -> None:
    rng = np.random.default_rng(0)
    limit, now_s = 100_000, 0.0
    spent: list[float] = []
    price = Price(limit, DAY_S)
    bought: list[float] = []
    refused: list[float] = []
    for _ in range(6000):
        now_s += 60.0
        gain = float(rng.random())
        price.ask(gain, 1000, now_s)
        window = sum(1000 for at_s in spent if at_s > now_s - DAY_S)
        if now_s > DAY_S:
            (bought if gain >= 1000 * price.per_unit(window, now_s) else refused).append(gain)
        if gain >= 1000 * price.per_unit(window, now_s):
            spent.append(now_s)
    days = now_s / DAY_S
    assert len(spent) * 1000 == pytest.approx(limit * days, rel=0.12)
    assert np.mean(bought) > 0.9 > 0.6 > np.mean(refused)


@given(asks)
def test_a_price_survives_a_restart(asked: list[tuple[float, int]]) -> None:
    price = Price(50_000, DAY_S)
    for index, (gain, cost) in enumerate(asked):
        price.ask(gain, cost, index * 100.0)
    again = Price(50_000, DAY_S, price.state)
    now_s = len(asked) * 100.0 + 5000
    assert again.per_unit(20_000, now_s) == pytest.approx(price.per_unit(20_000, now_s), rel=1e-3)


@pytest.mark.parametrize("state", [b"", b"x" * 32, b"x" * 38, bytes(39)])
def test_a_state_that_does_not_fit_is_a_fresh_start(state: bytes) -> None:
    price = Price(1000, DAY_S, state)
    price.ask(0.5, 100, 5.0)
    assert price.per_unit(0, 5.0) == 0.0


def test_each_budget_has_its_price_and_keeps_it(tmp_path: Path) -> None:
    budgets = [Budget(20_000, DAY_S), Budget(5, DAY_S, Resource.FRAMES), Budget(10**12, DAY_S, Resource.COMPUTE)]
    frame = {Resource.UPLOAD: 1000.0, Resource.FRAMES: 1.0}
    with Ledger(tmp_path / "ledger.db", budgets=budgets) as ledger:
        prices = Prices(ledger)
        for index in range(200):
            prices.ask(0.1 + index % 10 / 20, frame)
        # Frames run out before bytes do, so bytes are worth little or nothing: only what is scarce has a price.
        both = prices.cost(frame)
        assert prices.cost({Resource.UPLOAD: 1000.0}) < prices.cost({Resource.FRAMES: 1.0}) <= both < 1
        assert prices.cost({Resource.COMPUTE: 1e9}) == 0.0
    with Ledger(tmp_path / "ledger.db", budgets=budgets) as ledger:
        assert Prices(ledger).cost(frame) == pytest.approx(both, rel=0.05)


def test_without_budgets_everything_is_free(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        assert Prices(ledger).ask(0.1, {Resource.UPLOAD: 1e9}) == 0.0
