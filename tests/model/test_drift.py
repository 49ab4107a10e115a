"""The label-free check of whether frames have changed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.model.drift import FEWEST, check_drift, confidence_histogram
from edge_sdk.model.policy import Histogram


def test_the_same_source_has_not_changed_and_another_has() -> None:
    rng = np.random.default_rng(0)
    usual = confidence_histogram(rng.beta(5, 1, 3000))
    same = check_drift(usual, rng.beta(5, 1, 1000))
    assert not same.drifted and "as at calibration" in same.sentence()
    unsure = check_drift(usual, rng.beta(2, 1.5, 1000))
    assert unsure.drifted and unsure.shift > 0 and "less sure" in unsure.sentence()
    surer = check_drift(usual, rng.beta(60, 1, 1000))
    assert surer.drifted and surer.shift < 0 and "surer" in surer.sentence()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=200), st.lists(st.floats(0, 1), max_size=100))
def test_the_distance_is_that_of_the_cumulative_shares(usual: list[float], seen: list[float]) -> None:
    histogram = confidence_histogram(usual)
    found = check_drift(histogram, seen)
    expected = 0.0
    if seen:
        for edge in histogram.edges:
            here = sum(value < edge for value in seen) / len(seen)
            there = sum(value < edge for value in usual) / len(usual)
            expected = max(expected, abs(here - there))
    assert found.distance == pytest.approx(expected, abs=1e-9)
    assert found.frames == len(seen)
    assert not (found.drifted and len(seen) < FEWEST)


def test_few_frames_say_nothing() -> None:
    found = check_drift(confidence_histogram([0.5, 0.9]), [0.1] * (FEWEST - 1))
    assert not found.drifted and "too few" in found.sentence()


@pytest.mark.parametrize(
    ("edges", "counts"), [((), (1,)), ((0.5, 0.4), (1, 1, 1)), ((0.5,), (1,)), ((0.5,), (0, 0)), ((0.5,), (-1, 2))]
)
def test_a_histogram_that_is_none_is_refused(edges: tuple[float, ...], counts: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Histogram(edges, counts)
