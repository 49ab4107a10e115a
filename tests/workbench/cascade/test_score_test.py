"""The score test: its size against every outcome there is, its supremum against a grid, its interval, its speed-ups."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from edge_sdk.workbench.cascade import score_test
from edge_sdk.workbench.cascade.score_test import guaranteed_loss, loss_interval, loss_p_value, score


def outcomes(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Every (lost, won) of `count` records."""
    pairs = [(lost, won) for lost in range(count + 1) for won in range(count + 1 - lost)]
    lost, won = np.array(pairs).T
    return lost, won


def chances(lost: np.ndarray, won: np.ndarray, count: int, up: float, down: float) -> np.ndarray:
    """The chance of each outcome by the multinomial law."""
    rest = max(0.0, 1 - up - down)
    return np.asarray(stats.multinomial.pmf(np.stack([lost, won, count - lost - won], 1), count, [up, down, rest]))


def laws(eps: float, points: int) -> list[tuple[float, float]]:
    """Laws of the hypothesis, as the chances of a loss and of a win: a grid over mean and share of differences."""
    found = []
    for mean in np.unique(np.append(np.linspace(eps, min(eps + 0.3, 0.99), 4), max(eps, 0.0))):
        for apart in np.linspace(abs(mean), 1, points):
            found.append(((apart + mean) / 2, (apart - mean) / 2))
    return found


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 24),
    st.sampled_from([-0.4, -0.1, -0.02, 0.0, 0.01, 0.05, 0.2, 0.5]),
    st.sampled_from([0.01, 0.05, 0.2]),
)
def test_the_level_holds_under_every_law_of_the_hypothesis(count: int, eps: float, delta: float) -> None:
    lost, won = outcomes(count)
    rejected = loss_p_value(lost, won, count, eps, delta) <= delta
    for up, down in laws(eps, 25):
        assert chances(lost, won, count, up, down)[rejected].sum() <= delta + 1e-9


@pytest.mark.parametrize(("count", "eps"), [(90, 0.03), (100, 0.0), (70, -0.05)])
def test_little_of_the_level_is_wasted(count: int, eps: float) -> None:
    """The largest size over the edge of the hypothesis is close to the level."""
    lost, won = outcomes(count)
    rejected = loss_p_value(lost, won, count, eps, 0.05) <= 0.05
    sizes = [
        chances(lost, won, count, (apart + eps) / 2, (apart - eps) / 2)[rejected].sum()
        for apart in np.linspace(max(abs(eps), 0.05), 0.6, 23)
    ]
    assert 0.043 <= max(sizes) <= 0.05
    assert np.mean(sizes) >= 0.035


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 300), st.floats(-0.4, 0.4), st.data())
def test_the_statistic_falls_as_losses_replace_wins(count: int, eps: float, data: st.DataObject) -> None:
    apart = data.draw(st.integers(1, count))
    values = score(np.arange(apart + 1), np.full(apart + 1, apart), count, eps)
    assert (np.diff(values) <= 1e-9).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 300), st.floats(-0.4, -0.001))
def test_below_zero_the_statistic_rises_with_wins_alone(count: int, eps: float) -> None:
    won = np.arange(count + 1)
    assert (np.diff(score(np.zeros_like(won), won, count, eps)) >= -1e-9).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3000), st.floats(-0.1, 0.3), st.data())
def test_the_supremum_is_bounded_from_above_and_closely(count: int, eps: float, data: st.DataObject) -> None:
    lost = data.draw(st.integers(0, min(count, 60)))
    apart = lost + data.draw(st.integers(0, min(count - lost, 60)))
    low, high = sorted(data.draw(st.tuples(st.floats(abs(eps), 1), st.floats(abs(eps), 1))))
    moves = score_test._window(count, low, high)
    region = score_test._region(lost, apart, moves, count, eps)
    bound = score_test._bound(region, moves, count, eps, low, high, 5e-6)
    grid = score_test._tails(region, moves, count, eps, np.linspace(low, high, 400))
    assert grid.max() <= bound <= grid.max() * 1.01 + 1e-5 + 1e-3 * (bound > 0.3) + np.abs(np.diff(grid)).max()


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 30), st.floats(-0.5, 0.5), st.data())
def test_a_tail_is_the_sum_over_outcomes(count: int, eps: float, data: st.DataObject) -> None:
    seen = data.draw(st.integers(0, count))
    apart = data.draw(st.integers(seen, count))
    share = data.draw(st.floats(max(abs(eps), 1e-3), 1))
    moves = np.arange(count + 1)
    region = score_test._region(seen, apart, moves, count, eps)
    lost, won = outcomes(count)
    mine = (
        score(lost, lost + won, count, eps) >= float(score(np.array([seen]), np.array([apart]), count, eps)[0]) - 1e-9
    )
    expected = chances(lost, won, count, (share + eps) / 2, (share - eps) / 2)[mine].sum()
    assert score_test._tails(region, moves, count, eps, np.array([share]))[0] == pytest.approx(expected, abs=1e-9)


def test_the_short_cut_is_an_upper_bound_and_cheap_to_use() -> None:
    lost, won = outcomes(60)
    eps = 0.05
    quick = score_test._quick(lost, won, 60, eps, 0.05)
    total = lost - won
    for apart in np.linspace(eps, 1, 20):
        law = chances(lost, won, 60, (apart + eps) / 2, (apart - eps) / 2)
        for level in (1e-4, 0.01, 0.1):
            assert law[quick <= level].sum() <= level + 1e-9
    assert quick[(total == 0) & (lost == 0)] < 1
    score_test._exact.cache_clear()
    assert loss_p_value(np.array([20_000]), np.array([19_000]), 1_000_000, 0.01, 0.05)[0] < 0.001
    assert score_test._exact.cache_info().misses == 0


def test_values_for_a_million_records_agree_with_the_normal_law() -> None:
    value = loss_p_value(np.array([25_000]), np.array([23_000]), 1_000_000, 0.0023, 0.05)[0]
    statistic = score(np.array([25_000]), np.array([48_000]), 1_000_000, 0.0023)[0]
    assert value == pytest.approx(stats.norm.sf(statistic), abs=0.002)


def test_p_values_are_valid_for_any_law_at_the_edge_of_the_hypothesis() -> None:
    rng = np.random.default_rng(1)
    for apart, eps, count in (
        (0.02, 0.01, 800),
        (0.1, 0.0, 1500),
        (0.1, -0.01, 1500),
        (0.4, 0.05, 300),
        (0.9, 0.2, 60),
    ):
        lost = rng.binomial(count, (apart + eps) / 2, size=1000)
        won = rng.binomial(count - lost, (apart - eps) / 2 / (1 - (apart + eps) / 2))
        values = loss_p_value(lost, won, count, eps, 0.1)
        # 1000 draws: a true rate of 0.1 shows as up to 0.13 in all but 1 of 1000 cases.
        assert (values <= 0.1).mean() <= 0.13


def test_p_values_are_tight_where_the_models_seldom_differ() -> None:
    # 12 of 3000 are lost and 6 won, 0.2 points: to lose more than 1 point is out of the question.
    assert loss_p_value(np.array([12]), np.array([6]), 3000, 0.01, 0.05)[0] < 0.001
    assert loss_p_value(np.array([40]), np.array([6]), 3000, 0.01, 0.05)[0] > 0.3


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 40), st.integers(0, 40), st.integers(100, 3000), st.sampled_from([0.025, 0.05]))
def test_the_least_promise_is_where_the_test_turns(lost: int, won: int, count: int, delta: float) -> None:
    least = guaranteed_loss(lost, won, count, delta)
    assert least > (lost - won) / count
    assert loss_p_value(np.array([lost]), np.array([won]), count, least, delta)[0] <= delta
    apart = max(1e-4, (least - (lost - won) / count) / 4)
    assert loss_p_value(np.array([lost]), np.array([won]), count, least - apart, delta)[0] > delta


def test_interval_of_a_paired_difference() -> None:
    low, high = loss_interval(40, 30, 1200)
    assert low < 10 / 1200 < high
    assert (low, high) == pytest.approx((-0.0055, 0.0224), abs=5e-4)  # Tango's own interval
    assert loss_interval(30, 40, 1200) == pytest.approx((-high, -low))
    assert loss_interval(0, 0, 300)[1] == pytest.approx(0.0123, abs=1e-3)
    assert loss_interval(3, 0, 3)[1] == 1.0
