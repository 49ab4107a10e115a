"""A promise on new places."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.workbench.cascade.place_test import guaranteed_place_loss, likely_bet, place_losses, place_p_value


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.floats(-1, 1), min_size=2, max_size=3),
    st.lists(st.integers(1, 9), min_size=3, max_size=3),
    st.floats(-0.4, 0.4),
    st.sampled_from([0.02, 0.05, 0.2, 0.5]),
)
def test_the_level_holds_under_any_law_of_a_place(
    values: list[float], weights: list[int], eps: float, level: float
) -> None:
    chances = np.array(weights[: len(values)]) / sum(weights[: len(values)])
    support = np.clip(np.array(values) + max(0.0, eps - float(chances @ np.array(values))), None, 1.0)
    if chances @ support < eps:  # cut at 1: not in the hypothesis
        return
    likely = likely_bet(np.array([0.1, -0.2]), eps)
    broken = 0.0
    for drawn in product(range(len(support)), repeat=5):
        if place_p_value(support[list(drawn)], eps, likely) <= level:
            broken += float(np.prod(chances[list(drawn)]))
    assert broken <= level + 1e-9


def test_losses_are_taken_by_place() -> None:
    lost, won = np.array([1, 0, 0, 0], bool), np.array([0, 0, 1, 1], bool)
    assert place_losses(lost, won, ["a", "a", "b", "b"]).tolist() == [0.5, -1.0]


def test_places_without_a_loss_promise_about_three_over_their_number() -> None:
    assert guaranteed_place_loss(np.zeros(300), 0.05, np.zeros(200)) == pytest.approx(3 / 300, abs=0.005)
    assert guaranteed_place_loss(np.zeros(300), 0.05) == pytest.approx(3 / 300, abs=0.006)
    assert guaranteed_place_loss(np.ones(50), 0.05) == 1.0


def test_what_is_promised_is_tight_and_passes_the_test() -> None:
    losses = np.random.default_rng(0).choice([-0.5, 0.0, 0.5], 400, p=[0.1, 0.85, 0.05])
    least = guaranteed_place_loss(losses, 0.05)
    assert losses.mean() < least < losses.mean() + 3.5 * losses.std() / 20
    assert place_p_value(losses, least) <= 0.05 < place_p_value(losses, least - 1e-3)
