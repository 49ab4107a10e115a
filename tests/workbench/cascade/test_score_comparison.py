"""Scores compared by the area under the accuracy-cost curve."""

from __future__ import annotations

import numpy as np
import pytest

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.cascade.gate import fit_gate
from edge_sdk.workbench.cascade.score_comparison import compare_scores


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


def test_a_gate_is_not_called_better_where_confidence_says_all() -> None:
    rng = np.random.default_rng(5)
    count = 1500
    top = rng.uniform(0.4, 1.0, count)
    chances = np.stack([top, 1 - top], axis=1)
    named = chances.argmax(axis=1)
    truths = np.where(rng.random(count) < chances.max(axis=1), named, 1 - named)
    found = compare_scores(chances, truths, rng.random(count) < 0.97, little_macs=1, big_macs=10, draws=80)
    assert not any(one.better for one in found)


def test_scores_of_too_few_records_are_refused() -> None:
    chances, truths, big = made(8)
    with pytest.raises(WorkbenchError, match="expected at least 10 records for 5 folds"):
        compare_scores(chances, truths, big, little_macs=1, big_macs=2)
    with pytest.raises(WorkbenchError, match="expected labels from 0 to 2"):
        compare_scores(chances, truths + 1, big, little_macs=1, big_macs=2)
    with pytest.raises(WorkbenchError, match="two or more classes"):
        fit_gate(np.ones((4, 1)), big[:4], big[:4])
