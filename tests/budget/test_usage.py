"""What was done and spent."""

from __future__ import annotations

from typing import Any

from edge_sdk.budget.limits import Budget, Resource
from edge_sdk.budget.usage import COUNTERS, BudgetState, Usage

DAY, MONTH = Budget(100, 86_400), Budget(1000, 30 * 86_400)


def test_ratios_before_the_first_frame() -> None:
    assert (Usage().exit_ratio, Usage().macs_all_big) == (0.0, 0)


def test_ratios() -> None:
    usage = Usage(frames=4, exits=3, macs_little=40, macs_big=100, big_macs=100)
    assert usage.exit_ratio == 0.75
    assert usage.macs_total == 140
    assert usage.macs_all_big == 400


def test_the_fullest_budget_of_a_resource_counts() -> None:
    usage = Usage(budgets=(BudgetState(DAY, 50), BudgetState(MONTH, 200)))
    assert usage.budget(Resource.UPLOAD) == BudgetState(DAY, 50)
    assert usage.spent(Resource.UPLOAD) == 50
    assert usage.budget(Resource.CLOUD) is None
    assert usage.spent(Resource.CLOUD) == 0
    assert BudgetState(Budget(0, 60), 0).share == 1.0


def test_one_run_is_the_difference_of_every_counter() -> None:
    threes: dict[str, Any] = dict.fromkeys(COUNTERS, 3)
    fives: dict[str, Any] = dict.fromkeys(COUNTERS, 5)
    first, last = Usage(**threes), Usage(**fives, big_macs=7)
    run = last.since(first)
    assert {getattr(run, name) for name in COUNTERS} == {2}
    assert run.big_macs == 7
