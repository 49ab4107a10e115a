"""Exits as right as the big model: exact tails, and the word kept on data drawn anew."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.cascade.alignment import aligned_start, aligned_threshold, share_p_value, worse_off
from edge_sdk.workbench.cascade.guarantee import quantile_candidates


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 40), st.floats(0.01, 0.9), st.data())
def test_the_tail_is_binomial(exits: int, alpha: float, data: st.DataObject) -> None:
    worse = data.draw(st.integers(0, exits))
    expected = sum(comb(exits, k) * alpha**k * (1 - alpha) ** (exits - k) for k in range(worse + 1))
    found = share_p_value(np.array([worse]), np.array([exits]), alpha)[0]
    assert found == pytest.approx(expected, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.floats(0.01, 0.5), st.sampled_from([0.05, 0.2]))
def test_its_size_is_at_most_the_level(exits: int, alpha: float, delta: float) -> None:
    worse = np.arange(exits + 1)
    rejected = share_p_value(worse, np.full(exits + 1, exits), alpha) <= delta
    for share in np.linspace(alpha, min(1.0, 3 * alpha), 5):
        law = np.array([comb(exits, k) * share**k * (1 - share) ** (exits - k) for k in worse])
        assert law[rejected].sum() <= delta + 1e-9


def drawn(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Confidence c uniform; a frame is worse off with chance 0.3 (1 - c)."""
    confidence = rng.random(count)
    worse = rng.random(count) < 0.3 * (1 - confidence)
    little = ~worse & (rng.random(count) < 0.9)
    return confidence, little, little | worse


def test_the_promise_is_kept_on_new_draws() -> None:
    """r(T) = 0.15 (1 - T) is known: violations are counted over 400 calibrations; some exits are always allowed."""
    rng = np.random.default_rng(2)
    alpha, delta, broken, exits = 0.05, 0.1, 0, []
    for _ in range(400):
        mine, others = drawn(rng, 1300), drawn(rng, 2000)
        walk = quantile_candidates(mine[0])
        start = aligned_start(*mine, alpha=alpha, candidates=walk)
        found = aligned_threshold(*others, alpha=alpha, delta=delta, candidates=walk, start=start)
        broken += found.holds and 0.15 * (1 - found.threshold) > alpha
        exits.append(found.exits / 2000)
    assert broken / 400 <= delta + 0.045  # three deviations
    assert np.mean(exits) > 0.15  # of 0.33 that an oracle would let exit


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(5, 80))
def test_counts_against_one_by_one(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    confidence, worse = rng.integers(0, 10, count) / 10, rng.random(count) < 0.3
    walk = np.array([1.0, 0.75, 0.5, 0.1, 0.0])
    bad, exits = worse_off(walk, confidence, worse)
    for place, threshold in enumerate(walk):
        assert exits[place] == (confidence >= threshold).sum()
        assert bad[place] == (worse & (confidence >= threshold)).sum()


def test_no_promise_without_enough_exits() -> None:
    yes = np.ones(30, bool)
    scores = np.linspace(0, 1, 30)
    found = aligned_threshold(scores, yes, yes, alpha=0.01, delta=0.05, candidates=scores, start=1.0)
    assert not found.holds and not (scores >= found.threshold).any()
    with pytest.raises(WorkbenchError, match="expected alpha in"):
        aligned_threshold(scores, yes, yes, alpha=0.0, delta=0.05, candidates=scores, start=1.0)
