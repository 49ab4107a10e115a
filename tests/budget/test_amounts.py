"""Amounts in words."""

from __future__ import annotations

import pytest

from edge_sdk.budget.amounts import amount_text, budget_text, joules_text, macs_text, period_text
from edge_sdk.budget.limits import Resource, parse_budgets
from edge_sdk.budget.usage import BudgetState


@pytest.mark.parametrize(
    ("macs", "text"),
    [(0, "0 MAC"), (950, "950 MAC"), (1_240_000, "1.24 MMAC"), (999_700_000, "1 GMAC"), (5e18, "5e+03 PMAC")],
)
def test_macs_for_people(macs: float, text: str) -> None:
    assert macs_text(macs) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(86_400, "day"), (7_200, "2 h"), (60, "min"), (90, "1.5 min"), (1, "s"), (0.5, "0.5 s")]
)
def test_periods_for_people(seconds: float, text: str) -> None:
    assert period_text(seconds) == text


def test_energies_and_other_amounts() -> None:
    assert joules_text(1_200_000_000) == "1.2 kJ" and joules_text(500_000) == "0.5 J"
    assert amount_text(Resource.FRAMES, 3) == "3 frames" and amount_text(Resource.UPLOAD, 412_000) == "412.0 kB"


def test_a_budget_and_what_is_spent() -> None:
    (budget,) = parse_budgets("5MB/day")
    assert budget_text(BudgetState(budget, 412_000)) == "412.0 kB of 5.0 MB/day"
