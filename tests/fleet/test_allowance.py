from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.budget.limits import parse_budgets
from edge_sdk.fleet.allowance import DAY_S, Allowance, daily_bytes


@given(st.lists(st.tuples(st.floats(0, 50_000), st.integers(1, 600)), max_size=30))
def test_no_day_costs_more_than_is_allowed(tries: list[tuple[float, int]]) -> None:
    allowance, now_s = Allowance(1_000), 0.0
    spent: list[tuple[float, int]] = []
    for passed_s, size in tries:
        now_s += passed_s
        if allowance.wait_s(size, now_s) == 0:
            allowance.charge(size, now_s)
            spent.append((now_s, size))
    for at_s, _ in spent:
        assert sum(size for other_s, size in spent if at_s - DAY_S < other_s <= at_s) <= 1_000


@given(st.lists(st.tuples(st.floats(0, DAY_S), st.integers(1, 400)), max_size=5), st.integers(1, 1_000))
def test_what_it_waits_for_comes(charges: list[tuple[float, int]], size: int) -> None:
    allowance = Allowance(1_000, sorted(charges))
    wait_s = allowance.wait_s(size, DAY_S)
    assert math.isfinite(wait_s)
    assert allowance.wait_s(size, DAY_S + wait_s + 1e-6) == 0


def test_more_than_a_day_allows_never_leaves() -> None:
    assert Allowance(100).wait_s(101, 0.0) == math.inf


def test_a_charge_is_corrected() -> None:
    allowance = Allowance(100)
    allowance.charge(90, 5.0)
    allowance.correct(40)
    assert (allowance.spent(6.0), allowance.room(6.0)) == (40, 60)


def test_a_clock_that_begins_anew_frees_nothing() -> None:
    allowance = Allowance(100, [(1e9, 80)])
    assert allowance.spent(1.0) == 80
    assert allowance.spent(1.0 + DAY_S + 1) == 0


def test_a_days_share_of_the_upload_budgets() -> None:
    assert daily_bytes(parse_budgets("5MB/day, 30MB/month, 200 frames/day")) == 1_000_000
    assert daily_bytes(parse_budgets("1kB/min")) == 1_440_000
    assert daily_bytes(parse_budgets("200 frames/day")) is None
