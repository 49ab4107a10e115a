"""Bounds by betting: against a gambler who plays unit by unit, and over many simulated lives."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.model.betting import BETS, LOG_SHARES, bounds, log_capital_above, log_capital_below

CHANCES = np.array([0.02, 0.1, 0.5])
UNITS = st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.booleans()), min_size=1, max_size=60)
"""Stratum, drawn, y."""


def play(units: list[tuple[int, bool, bool]], share: float, sign: int) -> float:
    """The capital of all bets, one unit after another."""
    total = 0.0
    for bet, log_part in zip(BETS, LOG_SHARES, strict=True):
        part = math.exp(log_part)
        for stratum, drawn, one in units:
            chance = CHANCES[stratum]
            if (sign > 0 and bet * share >= 1) or (sign < 0 and bet > chance):
                part = 0.0
                break
            part *= 1 + sign * bet * ((drawn and one) / chance - share)
        total += part
    return total


def counted(units: list[tuple[int, bool, bool]]) -> np.ndarray:
    found = np.zeros(3, np.int64)
    for stratum, drawn, one in units:
        found[stratum] += drawn and one
    return found


@settings(deadline=None, max_examples=60)
@given(UNITS, st.floats(0.001, 0.9))
def test_capital_from_counts_is_that_of_a_gambler_who_plays_unit_by_unit(
    units: list[tuple[int, bool, bool]], share: float
) -> None:
    ones, count = counted(units), np.int64(len(units))
    assert math.exp(log_capital_above(count, ones, CHANCES, share)) == pytest.approx(play(units, share, 1), rel=1e-6)
    least = min(CHANCES[stratum] for stratum, *_ in units)
    below = math.exp(log_capital_below(count, ones, CHANCES, least, share))
    assert below == pytest.approx(play(units, share, -1), rel=1e-6, abs=1e-12)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2), st.floats(0.01, 0.9), st.floats(0, 1))
def test_no_bet_has_a_gain_to_expect_where_the_share_is_as_it_says(stratum: int, share: float, y: float) -> None:
    """One unit of any chance whose y is 1 with probability `y`: the mean capital after it, by all that can happen."""
    chance, unit = CHANCES[stratum], np.int64(1)
    one = np.eye(3, dtype=np.int64)[stratum]
    ways = one, np.zeros_like(one)
    capitals = (
        [log_capital_above(unit, ones, CHANCES, share) for ones in ways],
        [log_capital_below(unit, ones, CHANCES, chance, share) for ones in ways],
    )
    above, below = (chance * y * math.exp(won) + (1 - chance * y) * math.exp(lost) for won, lost in capitals)
    assert y > share or above <= 1 + 1e-9
    assert y < share or below <= 1 + 1e-9


@settings(deadline=None, max_examples=40)
@given(UNITS, st.integers(0, 2))
def test_what_is_not_known_widens_the_interval_on_both_sides(units: list[tuple[int, bool, bool]], stratum: int) -> None:
    units = [*units, (stratum, True, True)]
    least, none = float(CHANCES.min()), np.zeros(3, np.int64)
    ones = counted(units)
    known = ones - np.eye(3, dtype=np.int64)[stratum]
    low, high = bounds(len(units), known, ones - known, CHANCES, least, 0.05)
    assert low <= bounds(len(units), ones, none, CHANCES, least, 0.05)[0] + 1e-9  # it is a 1
    assert high >= bounds(len(units), known, none, CHANCES, least, 0.05)[1] - 1e-9  # it is a 0
    assert 0 <= low <= high <= 1


def test_before_the_first_unit_nothing_is_known() -> None:
    none = np.zeros(3, np.int64)
    assert bounds(0, none, none, CHANCES, 0.02, 0.05) == (0.0, 1.0)


def test_over_whole_lives_the_interval_and_the_alarm_are_wrong_as_seldom_as_they_say() -> None:
    rng = np.random.default_rng(1)
    runs, looks, step, shares = 400, 60, 50, np.array([0.5, 0.3, 0.2])
    rates = np.array([0.01, 0.03, 0.1])
    share = float(shares @ rates)
    ones = rng.poisson(step * shares * CHANCES * rates, (runs, looks, 3)).cumsum(axis=1)
    units = np.broadcast_to(step * np.arange(1, looks + 1), (runs, looks))
    above = log_capital_above(units, ones, CHANCES, share) >= math.log(40)
    below = log_capital_below(units, ones, CHANCES, 0.02, share) >= math.log(40)
    assert (above | below).any(axis=1).mean() <= 0.05
    assert (log_capital_above(units, ones, CHANCES, share) >= math.log(20)).any(axis=1).mean() <= 0.05
    drifted = rng.poisson(step * shares * CHANCES * rates * 6, (runs, looks, 3)).cumsum(axis=1)
    assert (log_capital_above(units, drifted, CHANCES, share) >= math.log(20)).any(axis=1).mean() > 0.9


def test_the_interval_closes_in_on_the_share() -> None:
    none, shares, rates = np.zeros(3, np.int64), np.array([0.5, 0.3, 0.2]), np.array([0.01, 0.03, 0.1])
    width = 1.0
    for units in (10_000, 100_000, 1_000_000):
        ones = np.round(units * shares * CHANCES * rates).astype(np.int64)
        low, high = bounds(units, ones, none, CHANCES, 0.02, 0.05)
        assert low <= float(shares @ rates) <= high
        assert high - low < width / 2
        width = high - low
