"""How often exits are answered as by the big model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from edge_sdk.workbench.agreement import likeness, measure_agreement, place_bound


def test_bands_hold_all_exits_and_the_bound_is_the_exact_one_where_each_is_a_place() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.3, 1.0, 2000)
    exits, differ = confidence >= 0.6, rng.uniform(0, 1, 2000) > confidence
    places, no = np.arange(2000).astype(str), np.zeros(2000, np.int64)
    found = measure_agreement(confidence, exits, device=no, big=differ.astype(np.int64), delta=0.05, places=places)
    assert found is not None
    assert sum(found.exits) == exits.sum() and sum(found.differ) == (exits & differ).sum()
    assert len(found.exits) == 4 and max(found.exits) - min(found.exits) <= 2
    assert stats.binom.cdf(sum(found.differ), sum(found.exits), found.at_most) == pytest.approx(0.05, abs=1e-3)
    rates = np.array(found.differ) / np.array(found.exits)
    assert (np.diff(rates) < 0).all()
    assert (found.places, found.alike) == (exits.sum(), 0.0)


def test_edge_cases() -> None:
    one, places, no = np.ones(5), np.array(["a"] * 5), np.zeros(5, np.int64)
    assert measure_agreement(one, one < 0, device=no, big=no + 1, delta=0.05, places=places) is None
    found = measure_agreement(one, one > 0, device=no, big=no + 1, delta=0.05, places=places)
    assert found is not None and (found.edges, found.exits, found.at_most) == ((), (5,), 1.0)


def test_one_cause_of_a_day_counts_once_and_what_has_no_time_by_itself() -> None:
    count = 400
    places = (np.arange(count) // 20).astype(str)
    device, big = np.zeros(count, np.int64), (np.arange(count) % 20 < 6).astype(np.int64)

    def bound(times: np.ndarray | None) -> float:
        one = np.ones(count)
        found = measure_agreement(one, one > 0, device=device, big=big, delta=0.05, places=places, times=times)
        assert found is not None and found.differ == (120,)
        return found.at_most

    same_day = np.full(count, 86_400.0 * 20_000)
    assert bound(same_day) < 0.12 < 0.3 < bound(None) == bound(np.full(count, np.nan))
    assert bound(same_day + 86_400.0 * np.arange(count)) == bound(None)
    half = np.where(np.arange(count) % 2 == 0, np.nan, same_day)
    assert bound(same_day) < bound(half) < bound(None)


def calibrated(rng: np.random.Generator, a: float, b: float, places: int, most: int) -> tuple[float, float]:
    """The bound and the likeness that `places` places give, whose shares are beta (a, b)."""
    units = rng.integers(1, most, places)
    ones = rng.binomial(units, rng.beta(a, b, places)).astype(np.float64)
    alike = likeness(units, ones)
    return place_bound(units, float(ones.sum()), alike, 0.05), alike


@pytest.mark.parametrize(("mean", "alike"), [(0.03, 0.015), (0.03, 0.1), (0.2, 0.3), (0.01, 0.02)])
def test_nearly_all_new_places_lie_below_the_bound(mean: float, alike: float) -> None:
    total = (1 - alike) / alike
    a, b = mean * total, (1 - mean) * total
    rng, beyond = np.random.default_rng(3), list[float]()
    for _ in range(40):
        bound, _ = calibrated(rng, a, b, 300, 12)
        beyond.append(float(stats.beta.sf(bound, a, b)))
    assert np.mean(beyond) < 0.06
    assert bound < 3 * stats.beta.ppf(0.95, a, b)


def test_the_likeness_is_that_of_the_places() -> None:
    rng = np.random.default_rng(5)
    found = [calibrated(rng, 2.0, 18.0, 2000, 30)[1] for _ in range(3)]
    assert found == pytest.approx([1 / 21] * 3, rel=0.4)
    units = np.full(2000, 10)
    assert likeness(units, rng.binomial(units, 0.1).astype(np.float64)) < 0.02


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 40), st.floats(0, 1)), min_size=1, max_size=40), st.floats(0, 0.9))
def test_the_bound_is_never_below_that_of_exits_that_are_places_themselves(
    places: list[tuple[int, float]], alike: float
) -> None:
    units = np.array([number for number, _ in places])
    ones = np.array([float(int(number * share)) for number, share in places])
    alone = place_bound(np.ones(units.sum(), np.int64), float(ones.sum()), 0.0, 0.05)
    assert alone - 1e-9 <= place_bound(units, float(ones.sum()), alike, 0.05) <= 1.0
    assert 0.0 <= likeness(units, ones) < 1.0
