"""The learned gate, the comparison of scores, and ensembles."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.workbench.cascade.gate import fit_gate, gains
from edge_sdk.workbench.cascade.score_comparison import GATE, compare_scores


def made(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities, truths and the big model's rightness, with a class on which no second opinion helps."""
    rng = np.random.default_rng(seed)
    truths = rng.integers(0, 3, count)
    logits = rng.normal(0, 1, (count, 3))
    logits[np.arange(count), truths] += 1.2
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    named = chances.argmax(axis=1)
    hopeless = named == 0  # where the little model says 0, the big one is right exactly when it is
    big = np.where(hopeless, named == truths, rng.random(count) < 0.95)
    return chances, truths, big


def test_a_gate_learns_where_a_second_opinion_is_worth_nothing() -> None:
    chances, truths, big = made(6000)
    table = fit_gate(chances, chances.argmax(axis=1) == truths, big)
    named = chances.argmax(axis=1)
    worth = gains(table, chances)
    assert np.abs(worth[named == 0]).mean() < 0.08
    assert worth[named == 1].mean() > 0.2
    found = compare_scores(chances, truths, big, little_macs=1, big_macs=10, logits=np.log(chances), draws=60)
    assert found[0].name == GATE and found[0].better
    assert {one.name for one in found} == {GATE, "max softmax", "margin", "entropy", "energy"}


@given(st.integers(0, 1000), st.integers(0, 2), st.floats(0, 1))
def test_the_device_reads_the_table_as_the_workbench_does(seed: int, label: int, confidence: float) -> None:
    chances, truths, big = made(200, seed % 5)
    table = fit_gate(chances, chances.argmax(axis=1) == truths, big)
    rest = (1 - confidence) / 2
    if confidence < rest:
        return
    row = np.full((1, 3), rest)
    row[0, label] = confidence
    if row.argmax() == label:
        assert table.expected(row[0].astype(np.float32)) == pytest.approx(float(gains(table, row)[0]), abs=1e-5)
    for gain in table.gains:
        assert all(a >= b for a, b in pairwise(gain))


def test_the_gate_reads_the_margin_where_that_says_more() -> None:
    rng = np.random.default_rng(3)
    count = 4000
    top = rng.uniform(0.35, 0.5, count)
    second = rng.uniform(0.05, 1, count) * np.minimum(top, 1 - top)
    chances = np.stack([top, second, (1 - top - second) / 2, (1 - top - second) / 2], axis=1)
    truths = np.where(rng.random(count) < 0.4 + 1.4 * (top - second), 0, 1)
    big = rng.random(count) < 0.95
    chosen = chances.argmax(axis=1) == 0
    table = fit_gate(chances[chosen], truths[chosen] == 0, big[chosen])
    assert table.runner_up > 0


@pytest.mark.parametrize("spread", [0.0, 1e-9, 4e-7, 1e-5])
def test_confidences_that_differ_behind_the_last_digit_of_the_table_are_one(spread: float) -> None:
    rng = np.random.default_rng(1)
    top = 0.56 + spread * rng.uniform(-1, 1, 100)
    chances = np.stack([top, 1 - top], axis=1)
    table = fit_gate(chances, rng.random(100) < 0.5, rng.random(100) < 0.9)
    assert all(a < b for a, b in pairwise(table.confidences))
