"""Scores and the temperature that calibrates them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.workbench.cascade.confidence import (
    SCORES,
    energy,
    expected_calibration_error,
    fit_looks_temperature,
    fit_temperature,
    softmax,
    to_logits,
)


@given(st.integers(0, 2**31), st.floats(0.3, 5.0))
@settings(deadline=None)
def test_the_temperature_undoes_a_scaling(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (400, 4)).astype(np.float32)
    chances = softmax(logits).astype(np.float64)
    truths = np.array([rng.choice(4, p=row / row.sum()) for row in chances])
    plain = fit_temperature(logits, truths)
    assert fit_temperature((logits * scale).astype(np.float32), truths) == pytest.approx(plain * scale, rel=1e-3)


def test_the_temperature_is_the_likeliest_on_a_grid() -> None:
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 3, (200, 5)).astype(np.float32)
    truths = np.where(rng.random(200) < 0.6, logits.argmax(1), rng.integers(0, 5, 200))

    def likelihood(temperature: float) -> float:
        return float(np.log(softmax(logits, temperature)[np.arange(200), truths]).mean())

    found = fit_temperature(logits, truths)
    assert likelihood(found) >= max(likelihood(t) for t in np.geomspace(0.2, 10, 200)) - 1e-6


@given(st.integers(0, 1000), st.floats(0.5, 8))
def test_logits_survive_float16_probabilities(seed: int, spread: float) -> None:
    logits = np.random.default_rng(seed).normal(0, spread, (20, 5)).astype(np.float32)
    stored = softmax(logits).astype(np.float16)
    assert softmax(to_logits(stored)) == pytest.approx(softmax(logits), abs=1.5e-3)


def test_scores_rise_with_confidence() -> None:
    chances = np.array([[1.0, 0.0, 0.0], [0.6, 0.3, 0.1], [1 / 3, 1 / 3, 1 / 3]])
    for name, score in SCORES.items():
        values = score(chances)
        assert values[0] > values[1] > values[2], name
        assert values[0] == pytest.approx(1)
    assert energy(np.array([[0.0, 0.0]]))[0] == pytest.approx(np.log(2))
    assert energy(np.array([[1000.0, 0.0]]))[0] == pytest.approx(1000)


def test_the_calibration_error_of_an_overconfident_model() -> None:
    right = np.array([True] * 6 + [False] * 4)
    assert expected_calibration_error(np.full(10, 0.9), right) == pytest.approx(0.3)
    assert expected_calibration_error(np.full(10, 0.6), right) == pytest.approx(0.0)


def test_the_temperature_of_two_looks_is_the_best_of_all() -> None:
    rng = np.random.default_rng(3)
    truths = rng.integers(0, 3, 300)
    looks = [rng.normal(0, 2, (300, 3)) + 3 * np.eye(3)[truths] for _ in range(2)]
    found = fit_looks_temperature(looks, truths)

    def loss(temperature: float) -> float:
        mean = (softmax(looks[0], temperature) + softmax(looks[1], temperature)) / 2
        return -float(np.log(mean[np.arange(300), truths]).mean())

    assert all(loss(found) <= loss(float(other)) + 1e-6 for other in np.geomspace(0.05, 20, 400))
    assert fit_looks_temperature(looks[:1], truths) == pytest.approx(fit_temperature(looks[0], truths), rel=1e-3)
