"""Fronts, the safe rendition, and their promises, against brute force and over many draws."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from edge_sdk.errors import WorkbenchError
from edge_sdk.images.rendition import Rendition, Upload
from edge_sdk.model.policy import Policy
from edge_sdk.workbench.cascade.group_split import selection_part
from edge_sdk.workbench.cascade.rendition_curve import (
    Trials,
    choose_ladder,
    last_safe,
    raw_front,
    robust_front,
    safest_first,
)
from edge_sdk.workbench.cascade.score_test import loss_p_value

DRAWS = 20
COSTS_AND_VALUES = st.integers(1, 9).flatmap(
    lambda count: st.tuples(
        arrays.arrays(np.float64, count, elements=st.integers(1, 6).map(float)),
        arrays.arrays(np.float64, count, elements=st.integers(0, 5).map(float)),
    )
)


@given(COSTS_AND_VALUES)
def test_the_raw_front_is_what_no_other_rung_beats(given: tuple[np.ndarray, np.ndarray]) -> None:
    costs, values = given
    front = raw_front(costs, values)
    for one, two in itertools.pairwise(front):
        assert costs[one] < costs[two] and values[one] < values[two]
    for index in range(len(costs)):  # each rendition is on the front, or one of the front is as good and no dearer
        assert any(costs[one] <= costs[index] and values[one] >= values[index] for one in front)
    for one in front:
        beaten = (costs <= costs[one]) & (values >= values[one]) & ((costs < costs[one]) | (values > values[one]))
        assert not beaten.any()


@given(st.integers(0, 2**32), st.integers(1, 7), st.sampled_from([0.05, 0.3]))
@settings(deadline=None)
def test_each_step_of_the_robust_front_is_beyond_noise(seed: int, count: int, level: float) -> None:
    rng = np.random.default_rng(seed)
    costs = rng.permutation(count).astype(float)
    right = rng.random((count, 60)) < np.sort(rng.random(count))[costs.argsort().argsort()][:, None]
    front = robust_front(costs, right, level=level)
    assert front[0] == int(costs.argmin())

    def better(one: int, two: int) -> bool:
        won, lost = int((right[one] & ~right[two]).sum()), int((right[two] & ~right[one]).sum())
        return won > lost and bool(
            stats.binomtest(won, won + lost, alternative="greater").pvalue <= level / (count - 1)
        )

    for one, two in itertools.pairwise(front):
        assert better(two, one)
        between = [index for index in range(count) if costs[one] < costs[index] < costs[two]]
        assert not any(better(index, one) for index in between)
    assert not any(better(index, front[-1]) for index in range(count) if costs[index] > costs[front[-1]])


def test_rungs_that_are_equally_good_rarely_make_a_second_step() -> None:
    rng = np.random.default_rng(1)
    steps = raw_steps = 0
    for _ in range(400):
        hard = rng.random(200)
        right = hard + rng.normal(0, 0.05, (12, 200)) < 0.8
        costs = np.arange(12.0)
        steps += len(robust_front(costs, right, level=0.05)) > 1
        raw_steps += len(raw_front(costs, right.mean(axis=1))) > 1
    assert steps <= 400 * 0.05
    assert raw_steps > 200


@given(COSTS_AND_VALUES, st.floats(0, 5))
def test_the_walk_ends_at_the_first_rung_that_cannot_be_promised(
    given: tuple[np.ndarray, np.ndarray], delta: float
) -> None:
    costs, p_values = given
    order = safest_first(costs, p_values)
    assert all(costs[one] > costs[two] and p_values[one] < p_values[two] for one, two in itertools.pairwise(order))
    assert p_values[order[0]] == p_values.min() and costs[order[-1]] == costs.min()
    tested = p_values[::-1]
    passed = [all(tested[two] <= delta for two in order[: place + 1]) for place in range(len(order))]
    found = last_safe(order, tested, delta)
    assert found == (order[sum(passed) - 1] if any(passed) else None)


def drawn(rng: np.random.Generator, losses: list[float], pictures: int = 2000, frames: int = 4000) -> Trials:
    """Pictures of which the original is right on 85%, and renditions that lose so much of that."""
    hard = rng.random(pictures)
    shaky = rng.random((len(losses), pictures)) < 0.02  # flips that cost nothing on average
    right = (hard < 0.85 - np.array(losses)[:, None]) ^ (shaky & (np.abs(hard - 0.85) < 0.15))
    sizes = (1 + np.arange(len(losses)))[:, None] * rng.integers(900, 1100, (len(losses), pictures))
    little = rng.random(pictures) < 0.6
    selection = np.arange(pictures) % 5 < 2
    return Trials(sizes, right, hard < 0.85, little, selection, frames * 2 // 5, frames * 3 // 5)


def test_the_promise_breaks_no_more_often_than_it_may() -> None:
    rng = np.random.default_rng(7)
    losses = [0.3, 0.1, 0.06, 0.04, 0.022, 0.01, 0.0, 0.0]  # of pictures; of all frames half of that
    chosen = [choose_ladder(drawn(rng, losses), drop=0.01, delta=0.1).safe for _ in range(DRAWS)]
    truth = [0.5 * loss for loss in losses]
    broken = sum(one is not None and truth[one] > 0.01 for one in chosen)
    assert broken <= DRAWS * 0.1
    assert sum(one is not None for one in chosen) > DRAWS / 2


def test_a_ladder_fits_the_policy_and_is_judged_on_what_did_not_choose() -> None:
    trials = drawn(np.random.default_rng(3), [0.4, 0.2, 0.05, 0.0, 0.0])
    found = choose_ladder(trials, drop=0.02)
    assert found.ladder[:2] == [1, 2] and found.safe in found.ladder
    evaluation = ~trials.selection
    for index in found.ladder:
        evaluated = found.evaluated[index]
        assert evaluated.accuracy == trials.right[index, evaluation].mean()
        assert evaluated.mean_bytes == trials.sizes[index, evaluation].mean()
    policy = Policy(
        ladder=tuple(
            Rendition(Upload(), found.evaluated[one].mean_bytes, found.evaluated[one].relative_gain)
            for one in found.ladder
        )
    )
    assert policy.ladder[-1].relative_gain == 1
    top, first = (found.evaluated[found.ladder[place]].accuracy for place in (-1, 0))
    assert policy.ladder[0].relative_gain == pytest.approx(
        (first - found.little_accuracy) / (top - found.little_accuracy)
    )
    raw = choose_ladder(trials, drop=0.02, raw=True)
    assert set(raw.ladder) <= set(raw_front(trials.mean_bytes(trials.selection), trials.accuracy(trials.selection)))
    lost, won = trials.changed(evaluation)
    promised = found.evaluated[found.ladder[-1]].promise
    place = found.ladder[-1]
    assert loss_p_value(lost[[place]], won[[place]], 2400, promised, 0.05)[0] <= 0.05


def test_nothing_is_promised_that_cannot_be() -> None:
    trials = drawn(np.random.default_rng(3), [0.4, 0.2], pictures=200, frames=200)
    assert choose_ladder(trials, drop=0.005).safe is None


def test_a_big_model_that_is_no_better_has_no_ladder() -> None:
    trials = drawn(np.random.default_rng(3), [0.3, 0.0])
    same = Trials(trials.sizes, trials.right, *(np.ones(2000, bool),) * 2, trials.selection, 1600, 2400)
    found = choose_ladder(same, drop=0.02)
    assert found.ladder == [] and np.isnan(found.evaluated[0].relative_gain)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"selection": np.ones(2000, bool)}, "pictures to evaluate on; got 2000 of 2000"),
        ({"selection_frames": 10}, "as many frames as offloaded pictures or more; got 10 for 800"),
        ({"right": np.ones((1, 2000), bool)}, r"one shape \(K, 2000\)"),
        ({"little_right": np.ones(3, bool)}, "expected as many of little_right"),
    ],
)
def test_trials_that_do_not_fit_are_refused(change: dict[str, object], message: str) -> None:
    trials = drawn(np.random.default_rng(3), [0.3, 0.0])
    fields = {name: getattr(trials, name) for name in Trials.__dataclass_fields__}
    with pytest.raises(WorkbenchError, match=message):
        Trials(**(fields | change))
    with pytest.raises(WorkbenchError, match="expected drop and level"):
        choose_ladder(trials, drop=0.0)


def test_records_are_dealt_by_their_source_and_always_alike() -> None:
    names = [f"camera {index // 10}" for index in range(1000)]
    part = selection_part(names, fewest=100)
    assert np.array_equal(part, selection_part(names, fewest=100))
    assert all(len(set(part[start : start + 10].tolist())) == 1 for start in range(0, 1000, 10))
    assert 0.25 < part.mean() < 0.55
    with pytest.raises(WorkbenchError, match=r"pictures of more sources.*; got 1 sources"):
        selection_part(["one"] * 50, fewest=1)
