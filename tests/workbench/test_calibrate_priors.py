"""How much priors count: right ones fully, wrong ones not at all, and the device computes what calibration saw."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from table_parts import LABELS, TABLE, records_of, unsure_logits

from edge_sdk.model.policy import Policy
from edge_sdk.model.priors import PlacePrior, prior_ratio
from edge_sdk.types import Prediction
from edge_sdk.workbench.calibrate import calibrate_records
from edge_sdk.workbench.calibrate_priors import fit_strength, in_policy, log_ratios, with_priors
from edge_sdk.workbench.calibration import Rule
from edge_sdk.workbench.cascade.confidence import fit_temperature, log_loss, softmax
from edge_sdk.workbench.cascade.group_split import selection_part
from edge_sdk.workbench.taken import Taken

N = 800


def drawn(seed: int, right: bool = True) -> tuple[NDArray[np.int64], Taken]:
    """Classes as the table expects them in the region and month of each picture, and where it says they were taken."""
    random = np.random.default_rng(seed)
    months = random.integers(1, 13, N)
    regions = random.choice(["alps", "north"], N)
    truths = np.array(
        [
            random.choice(3, p=prior_ratio(TABLE, LABELS, region, month, 0.02) / 3)
            for region, month in zip(regions, months, strict=True)
        ]
    )
    if not right:
        truths = random.integers(0, 3, N)
    return truths, Taken(months, tuple(regions.tolist()))


def test_right_priors_count_and_help_both_models() -> None:
    truths, taken = drawn(0)
    little = records_of(unsure_logits(truths, 3, 1), truths)
    big = records_of(unsure_logits(truths, 3, 2, lift=3), truths)
    placed = with_priors(little, big, TABLE, taken)
    assert placed.rule.strength > 0.7 and placed.rule.cloud > 0.5
    assert placed.accuracy[1] > placed.accuracy[0] + 0.05
    assert placed.big_accuracy[1] > placed.big_accuracy[0]
    assert (placed.timed, placed.placed) == (N, N)
    assert f"{N} of {N} pictures have a month" in placed.sentence()


def test_wrong_priors_do_not_count() -> None:
    truths, taken = drawn(0, right=False)
    little = records_of(unsure_logits(truths, 3, 1), truths)
    placed = with_priors(little, little, TABLE, taken)
    assert placed.rule.strength < 0.15
    assert placed.accuracy[1] > placed.accuracy[0] - 0.03


def test_nothing_known_changes_nothing() -> None:
    truths, _ = drawn(0)
    little = records_of(unsure_logits(truths, 3, 1), truths)
    placed = with_priors(little, little, TABLE, Taken(np.zeros(N, np.int64), (None,) * N))
    assert placed.little is little and placed.big is little
    assert (placed.rule.strength, placed.rule.cloud) == (0.0, 0.0)
    assert in_policy(Policy(), None).priors is None


def test_the_device_computes_what_calibration_saw() -> None:
    truths, taken = drawn(3)
    raw = unsure_logits(truths, 3, 1, noise=2.0)
    placed = with_priors(records_of(raw, truths), records_of(unsure_logits(truths, 3, 2), truths), TABLE, taken)
    found = calibrate_records(placed.little, placed.big, Rule(drop=0.0), learned_gate=False)
    policy = in_policy(found.policy, placed)
    assert policy.priors is not None
    expected = placed.little.calibrated(policy.temperature)
    for row in range(0, N, 37):
        scaled = np.exp(raw[row] / policy.temperature - (raw[row] / policy.temperature).max())
        said = Prediction(LABELS, (scaled / scaled.sum()).astype(np.float32))
        prior = PlacePrior(TABLE, policy.priors, str(taken.regions[row]))
        on_device = prior.applied(said, int(taken.months[row])).probabilities
        np.testing.assert_allclose(on_device, expected[row], atol=2e-3)
        cloud = prior.applied_to_cloud(LABELS, said.probabilities, int(taken.months[row]))
        assert cloud.sum() == pytest.approx(1.0, abs=1e-5)


def test_two_looks_are_averaged_before_the_priors() -> None:
    truths, taken = drawn(4)
    raw = np.stack([unsure_logits(truths, 3, seed) for seed in (1, 2)], axis=1)
    little = records_of(raw, truths)
    assert little.looks is not None
    placed = with_priors(little, records_of(raw[:, 0], truths), TABLE, taken)
    temperature = placed.little.fit_temperature()
    ratios = log_ratios(TABLE, LABELS, taken, placed.rule.floor)
    mean = np.mean([softmax(raw[:, look], temperature) for look in (0, 1)], axis=0)
    weighted = mean * np.exp(placed.rule.strength * ratios)
    np.testing.assert_allclose(
        placed.little.calibrated(temperature), weighted / weighted.sum(axis=1, keepdims=True), atol=2e-3
    )
    assert placed.big.looks is None


@given(seed=st.integers(0, 50), lift=st.floats(0.5, 3))
def test_no_other_strength_is_likelier(seed: int, lift: float) -> None:
    random = np.random.default_rng(seed)
    truths = random.integers(0, 3, 60)
    logits, ratios = unsure_logits(truths, 3, seed, lift=lift), random.normal(0, 1, (60, 3))

    def loss(strength: float) -> float:
        temperature = fit_temperature(logits, truths, strength * ratios)
        return log_loss(softmax(logits / temperature + strength * ratios), truths)

    found = fit_strength(logits, ratios, truths)
    assert loss(found) <= min(loss(one) for one in np.linspace(0, 1, 21).tolist()) + 1e-3


@given(seed=st.integers(0, 30))
def test_no_fewer_are_right_where_the_strength_is_chosen(seed: int) -> None:
    truths, taken = drawn(seed, right=False)
    little, big = (records_of(unsure_logits(truths, 3, seed + more), truths) for more in (1, 2))
    placed = with_priors(little, big, TABLE, taken)
    mine = selection_part(little.group_names, fewest=25)
    for before, after in ((little, placed.little), (big, placed.big)):
        chances = after.part(mine).calibrated(after.fit_temperature(mine)) if after is placed.little else None
        named = after.predicted[mine] if chances is None else chances.argmax(axis=1)
        assert (named == truths[mine]).sum() >= before.right[mine].sum()
