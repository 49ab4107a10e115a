"""Intervals by resampling places."""

from __future__ import annotations

import numpy as np
import pytest

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.cascade.bootstrap import in_percent, ratio_interval


def test_records_of_one_place_count_as_one() -> None:
    rng = np.random.default_rng(0)
    means = rng.random(30)
    values = np.repeat(means, 50)
    low, high = ratio_interval(values, np.repeat(np.arange(30), 50))
    half = 1.96 * means.std() / np.sqrt(30)
    assert (low, high) == pytest.approx((means.mean() - half, means.mean() + half), abs=0.02)
    alone = ratio_interval(values, np.arange(1500))
    assert alone[1] - alone[0] < (high - low) / 5


def test_a_ratio_of_sums() -> None:
    low, high = ratio_interval(np.array([4.0, 8.0]), ["a", "b"], np.array([2.0, 4.0]))
    assert low == high == 2.0
    assert np.isnan(ratio_interval(np.ones(2), ["a", "b"], np.zeros(2))).all()


def test_in_words_and_refused() -> None:
    assert in_percent(np.array([1, 1]), ["a", "b"], "+") == "+100.0 [+100.0, +100.0]"
    with pytest.raises(WorkbenchError, match="as many places"):
        ratio_interval(np.ones(2), ["a"])
