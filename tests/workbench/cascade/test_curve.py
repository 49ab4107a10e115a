"""The accuracy-cost curve against brute force, and the thresholds that are read off it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.cascade.curve import Curve, cascade_curve, lossless, nearest_best, within

LITTLE, BIG = 10.0, 100.0


@st.composite
def cascades(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    count = draw(st.integers(1, 30))
    grid = st.integers(0, 8).map(lambda value: value / 8)  # few values: many ties
    confidence = draw(st.lists(grid, min_size=count, max_size=count))
    booleans = st.lists(st.booleans(), min_size=count, max_size=count)
    sizes = draw(st.lists(st.integers(1, 50), min_size=count, max_size=count))
    return np.array(confidence), np.array(draw(booleans)), np.array(draw(booleans)), np.array(sizes)


def curve_of(records: tuple[np.ndarray, ...]) -> Curve:
    confidence, little, big, sizes = records
    return cascade_curve(confidence, little, big, little_macs=LITTLE, big_macs=BIG, upload_bytes=sizes)


def brute(records: tuple[np.ndarray, ...], threshold: float) -> tuple[float, float, float, float]:
    confidence, little, big, sizes = records
    exits = confidence >= threshold
    right = np.where(exits, little, big).mean()
    return exits.mean(), right, LITTLE + (~exits).mean() * BIG, np.where(exits, 0, sizes).mean()


@given(cascades())
def test_every_point_is_what_the_rule_gives(records: tuple[np.ndarray, ...]) -> None:
    curve = curve_of(records)
    assert len(curve.thresholds) == len(np.unique(records[0])) + 1
    for index, threshold in enumerate(curve.thresholds):
        point = curve.point(index)
        assert (point.exit_ratio, point.accuracy, point.macs, point.upload_bytes) == pytest.approx(
            brute(records, threshold)
        )
    assert curve.big_accuracy == pytest.approx(records[2].mean())
    assert curve.little_accuracy == pytest.approx(records[1].mean())


@given(cascades(), st.floats(-0.2, 1.2))
def test_any_threshold_can_be_looked_up(records: tuple[np.ndarray, ...], threshold: float) -> None:
    point = curve_of(records).at(threshold)
    assert (point.exit_ratio, point.accuracy) == pytest.approx(brute(records, threshold)[:2])


@given(cascades(), st.sampled_from([0.0, 0.05, 0.2, -0.05]))
def test_the_lossless_threshold_is_the_cheapest_that_loses_nothing(
    records: tuple[np.ndarray, ...], drop: float
) -> None:
    found = lossless(curve_of(records), drop=drop)
    options = [2.0, *np.unique(records[0]), 0.0]
    fits = [brute(records, t) for t in options if brute(records, t)[1] >= records[2].mean() - drop - 1e-9]
    least = min((cost for _, _, cost, _ in fits), default=LITTLE + BIG)
    assert found.macs == pytest.approx(least)
    assert (found.exit_ratio, found.accuracy) == pytest.approx(brute(records, found.threshold)[:2])


def test_a_little_model_that_is_good_enough_replaces_the_big_one() -> None:
    right = np.array([True, True, False])
    found = lossless(cascade_curve(np.array([0.5, 0.6, 0.7]), right, right, little_macs=1, big_macs=10))
    assert (found.threshold, found.exit_ratio, found.macs) == (0.0, 1.0, 1.0)


@given(cascades(), st.floats(0.1, 0.9))
def test_a_known_threshold_stays_where_it_is_as_good_as_any(records: tuple[np.ndarray, ...], near: float) -> None:
    found, count = nearest_best(curve_of(records), near, frames=1), len(records[0])
    every = {t: count * brute(records, t)[1] for t in (*curve_of(records).thresholds, near)}
    good = [t for t, right in every.items() if right >= max(every.values()) - 1 - 1e-6]
    assert abs(found.threshold - near) == pytest.approx(min(abs(t - near) for t in good))
    assert (found.exit_ratio, found.accuracy) == pytest.approx(brute(records, found.threshold)[:2])


def test_where_no_exit_is_free_none_exits() -> None:
    found = lossless(
        cascade_curve(np.array([1.0, 0.6]), np.array([False] * 2), np.array([True] * 2), little_macs=1, big_macs=10)
    )
    assert found.threshold > 1.0
    assert found.exit_ratio == 0.0


@given(cascades(), st.floats(0, 1))
def test_a_share_of_offloads_is_kept_and_well_used(records: tuple[np.ndarray, ...], share: float) -> None:
    found = within(curve_of(records), offload_ratio=share)
    assert 1 - found.exit_ratio <= share + 1e-9
    best = max(brute(records, t)[1] for t in [2.0, *np.unique(records[0])] if 1 - brute(records, t)[0] <= share + 1e-12)
    assert found.accuracy == pytest.approx(best)


def test_bytes_and_macs_are_limits_too() -> None:
    records = (np.array([0.9, 0.8, 0.7, 0.6]), np.array([1, 1, 0, 0], bool), np.ones(4, bool), np.full(4, 1000))
    curve = curve_of(records)
    by_bytes = within(curve, bytes_per_day=1000, frames_per_day=2)
    assert by_bytes.exit_ratio == 0.5
    assert within(curve, macs=LITTLE + BIG / 2).exit_ratio == 0.5
    assert within(curve, macs=LITTLE).exit_ratio == 1.0


@settings(max_examples=20)
@given(cascades())
def test_an_ensemble_counts_where_frames_are_offloaded(records: tuple[np.ndarray, ...]) -> None:
    confidence, little, big, _ = records
    final = ~big
    curve = cascade_curve(confidence, little, big, little_macs=1, big_macs=2, offloaded_right=final)
    assert curve.big_accuracy == pytest.approx(big.mean())
    for index, threshold in enumerate(curve.thresholds[1:], 1):
        assert curve.accuracy[index] == pytest.approx(np.where(confidence >= threshold, little, final).mean())


def test_the_area_is_the_mean_accuracy_over_exit_ratios() -> None:
    little, big = np.array([True, False]), np.array([True, True])
    good = cascade_curve(np.array([0.9, 0.1]), little, big, little_macs=1, big_macs=10).area()
    bad = cascade_curve(np.array([0.1, 0.9]), little, big, little_macs=1, big_macs=10).area()
    assert good == pytest.approx((1 + 1) / 2 * 0.5 + (1 + 0.5) / 2 * 0.5)
    assert bad < good


def test_a_million_records_take_one_sort() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.random(1_000_000)
    curve = cascade_curve(confidence, confidence > 0.3, confidence > 0.1, little_macs=1, big_macs=10)
    assert len(curve.thresholds) == len(np.unique(confidence)) + 1
    assert lossless(curve, drop=0.1).accuracy == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize(
    ("records", "message"),
    [
        (([0.5, 0.6], [True], [True, True]), "expected as many of little_right as of confidence"),
        (([0.5, float("nan")], [True, True], [True, True]), "expected numbers in confidence; got nan at record 1"),
        (([], [], []), "expected at least one record"),
        (([[0.5]], [True], [True]), r"expected confidence of shape \(N,\)"),
    ],
)
def test_records_that_do_not_fit_are_refused(records: tuple[list[float], list[bool], list[bool]], message: str) -> None:
    confidence, little, big = records
    with pytest.raises(WorkbenchError, match=message):
        cascade_curve(
            np.array(confidence, float), np.array(little, bool), np.array(big, bool), little_macs=1, big_macs=2
        )


def test_limits_that_cannot_be_kept_say_what_is_least() -> None:
    curve = curve_of((np.array([0.5]), np.array([True]), np.array([True]), np.array([9])))
    with pytest.raises(WorkbenchError, match="with every frame exiting a frame costs 10 MACs"):
        within(curve, macs=5)
    with pytest.raises(WorkbenchError, match="expected a limit"):
        within(curve)
    with pytest.raises(WorkbenchError, match="expected frames per day"):
        within(curve, bytes_per_day=5)
