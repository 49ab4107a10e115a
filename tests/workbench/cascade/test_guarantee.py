"""The promise: exact tails against enumeration, monotone in the nuisance, and kept on data drawn anew."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.cascade.guarantee import (
    _tail,
    guaranteed_loss,
    guaranteed_threshold,
    loss_p_value,
    quantile_candidates,
    spread_candidates,
)


def enumerated(total: int, count: int, apart: float, mean: float) -> float:
    """P(S <= total) by looking at every sequence of draws."""
    chance = {1: (apart + mean) / 2, -1: (apart - mean) / 2, 0: 1 - apart}
    return sum(
        float(np.prod([chance[step] for step in steps]))
        for steps in product((-1, 0, 1), repeat=count)
        if sum(steps) <= total
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 7), st.integers(-7, 7), st.floats(0.05, 0.9), st.floats(0.01, 0.9))
def test_the_tail_is_exact(count: int, total: int, apart: float, part: float) -> None:
    mean = apart * part
    assert _tail(total, count, apart, mean) == pytest.approx(enumerated(total, count, apart, mean), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.integers(5, 400), st.floats(0.005, 0.2), st.data())
def test_a_small_tail_rises_with_the_share_of_disagreement(count: int, eps: float, data: st.DataObject) -> None:
    total = data.draw(st.integers(-count, int(eps * count)))
    grid = np.linspace(eps * 1.0001, 0.5, 25)
    tails = np.array([_tail(total, count, float(apart), eps) for apart in grid])
    for index in np.flatnonzero(tails <= 1 / 4):
        assert tails[:index].max(initial=0.0) <= tails[index] + 1e-9


def test_p_values_are_valid_for_any_law_at_the_edge_of_the_hypothesis() -> None:
    rng = np.random.default_rng(1)
    for apart, eps, count in ((0.02, 0.01, 800), (0.1, 0.01, 1500), (0.4, 0.05, 300), (0.9, 0.2, 60)):
        lost = rng.binomial(count, (apart + eps) / 2, size=4000)
        won = rng.binomial(count - lost, (apart - eps) / 2 / (1 - (apart + eps) / 2))
        values = loss_p_value(lost, won, count, eps, 0.1)
        # 4000 draws: a true rate of 0.1 shows as up to 0.115 in all but 1 of 1000 cases.
        assert (values <= 0.1).mean() <= 0.115


def test_p_values_are_tight_where_the_models_seldom_differ() -> None:
    # 12 of 3000 are lost and 6 won, 0.2 points: to lose more than 1 point is out of the question; beta remains.
    assert loss_p_value(np.array([12]), np.array([6]), 3000, 0.01, 0.05)[0] < 0.05 / 20 + 1e-4
    assert loss_p_value(np.array([40]), np.array([6]), 3000, 0.01, 0.05)[0] > 0.3


@st.composite
def records(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    count = draw(st.integers(20, 300))
    confidence = rng.random(count)
    return confidence, rng.random(count) < 0.6 + 0.4 * confidence, rng.random(count) < 0.95


@settings(max_examples=30, deadline=None)
@given(records(), st.sampled_from([0.02, 0.1]))
def test_the_walk_stops_before_the_first_threshold_that_fails(
    drawn: tuple[np.ndarray, np.ndarray, np.ndarray], eps: float
) -> None:
    confidence, little, big = drawn
    walk = spread_candidates(40)
    found = guaranteed_threshold(confidence, little, big, eps=eps, delta=0.1, candidates=walk)
    expected = None
    for threshold in walk:
        exits = confidence >= threshold
        lost, won = int((exits & big & ~little).sum()), int((exits & little & ~big).sum())
        if loss_p_value(np.array([lost]), np.array([won]), len(confidence), eps, 0.1)[0] > 0.1:
            break
        expected = float(threshold)
    assert found.holds == (expected is not None)
    assert found.threshold == (expected if expected is not None else found.threshold)
    if expected is None:
        assert not (confidence >= found.threshold).any()


def test_the_promise_is_kept_on_new_draws() -> None:
    """The true risk is known here: violations are counted over 200 calibrations."""
    rng = np.random.default_rng(2)
    eps, delta, count, broken = 0.02, 0.1, 600, 0

    def risk(threshold: float) -> float:
        # confidence uniform on [0, 1]; big right with 0.9; little right with 0.5 + 0.5 c: E[D] of those that exit
        low = min(max(threshold, 0.0), 1.0)
        return (0.9 - 0.5) * (1 - low) - 0.25 * (1 - low**2)

    for _ in range(200):
        confidence = rng.random(count)
        little = rng.random(count) < 0.5 + 0.5 * confidence
        big = rng.random(count) < 0.9
        found = guaranteed_threshold(confidence, little, big, eps=eps, delta=delta)
        broken += found.holds and risk(found.threshold) > eps
    assert broken / 200 <= delta + 0.05


def test_an_ensemble_on_offloads_counts_in_the_promise() -> None:
    rng = np.random.default_rng(3)
    confidence, big = rng.random(2000), rng.random(2000) < 0.8
    little = rng.random(2000) < 0.5 + 0.5 * confidence
    better = big | (rng.random(2000) < 0.2)
    plain = guaranteed_threshold(confidence, little, big, eps=0.03, delta=0.1)
    with_voice = guaranteed_threshold(confidence, little, big, eps=0.03, delta=0.1, offloaded_right=better)
    assert with_voice.threshold < plain.threshold


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 40), st.integers(0, 40), st.integers(100, 3000))
def test_the_least_promise_is_where_the_test_turns(lost: int, won: int, count: int) -> None:
    least = guaranteed_loss(lost, won, count, 0.05)
    assert least > (lost - won) / count
    assert loss_p_value(np.array([lost]), np.array([won]), count, least, 0.05)[0] <= 0.05 + 1e-9
    if least > 1e-4:
        assert loss_p_value(np.array([lost]), np.array([won]), count, least - 5e-5, 0.05)[0] > 0.05


def test_candidates_fall() -> None:
    for candidates in (spread_candidates(), quantile_candidates(np.random.default_rng(0).normal(size=500))):
        assert (np.diff(candidates) < 0).all()


@pytest.mark.parametrize(("eps", "delta"), [(0.0, 0.1), (1.0, 0.1), (0.1, 0.0), (0.1, 0.5)])
def test_promises_that_cannot_be_made_are_refused(eps: float, delta: float) -> None:
    yes = np.ones(10, bool)
    with pytest.raises(WorkbenchError, match="expected eps in"):
        guaranteed_threshold(np.linspace(0, 1, 10), yes, yes, eps=eps, delta=delta)
