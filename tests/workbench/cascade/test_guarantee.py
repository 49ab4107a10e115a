"""The promise: the walk stops where it should, and the word is kept on data drawn anew."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.cascade.guarantee import (
    guaranteed_threshold,
    likely_start,
    quantile_candidates,
    spread_candidates,
)
from edge_sdk.workbench.cascade.score_test import loss_p_value


@st.composite
def records(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    count = draw(st.integers(20, 300))
    confidence = rng.random(count)
    return confidence, rng.random(count) < 0.6 + 0.4 * confidence, rng.random(count) < 0.95


@settings(max_examples=30, deadline=None)
@given(records(), st.sampled_from([-0.02, 0.0, 0.02, 0.1]))
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


def test_a_walk_may_start_where_other_records_are_best() -> None:
    """The cascade beats the big model by a point at half of the exits, and the most confident frames err a little."""
    rng = np.random.default_rng(4)
    confidence = rng.random(8000)
    big = rng.random(8000) < 0.85
    little = np.where(rng.random(8000) < 0.04, ~big, big)
    middling = (confidence > 0.4) & (confidence < 0.8)
    little |= middling & (rng.random(8000) < 0.5)
    selection = np.arange(8000) < 3000
    walk = quantile_candidates(confidence[selection])
    parts = confidence[selection], little[selection], big[selection]
    start = likely_start(*parts, eps=0.0, delta=0.05, records=5000, candidates=walk)
    assert 0.3 < start < 0.6
    few = confidence[:200], little[:200], big[:200]  # which say nothing clear
    assert likely_start(*few, eps=0.001, delta=0.05, records=300, candidates=walk) == walk[0]
    rest = confidence[~selection], little[~selection], big[~selection]
    assert not guaranteed_threshold(*rest, eps=0.0, delta=0.05, candidates=walk).holds
    found = guaranteed_threshold(*rest, eps=0.0, delta=0.05, candidates=walk, start=start)
    assert found.holds and found.threshold <= start


def test_candidates_fall() -> None:
    for candidates in (spread_candidates(), quantile_candidates(np.random.default_rng(0).normal(size=500))):
        assert (np.diff(candidates) < 0).all()


@pytest.mark.parametrize(("eps", "delta"), [(-1.0, 0.1), (1.0, 0.1), (0.1, 0.0), (0.1, 0.5)])
def test_promises_that_cannot_be_made_are_refused(eps: float, delta: float) -> None:
    yes = np.ones(10, bool)
    with pytest.raises(WorkbenchError, match="expected eps in"):
        guaranteed_threshold(np.linspace(0, 1, 10), yes, yes, eps=eps, delta=delta)
