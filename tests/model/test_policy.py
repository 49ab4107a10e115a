"""Exit at or above the threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.errors import ConfigError
from edge_sdk.model.policy import Decision, ExitPolicy, GainTable, Policy, Preferences
from edge_sdk.types import Prediction, Reason


def approx(value: float) -> Any:
    """`pytest.approx`, where a float is expected."""
    return pytest.approx(value)


def prediction(confidence: float) -> Prediction:
    return Prediction(("a", "b"), np.array([confidence, 1 - confidence], np.float32))


@given(st.floats(0, 1), st.floats(0.5, 1))
def test_the_rule_is_confidence_at_or_above_threshold(threshold: float, confidence: float) -> None:
    said = prediction(confidence)
    decision = ExitPolicy(Policy(), threshold).decide(said)
    assert decision.exits == (said.confidence >= threshold)
    assert decision.reason is (Reason.CONFIDENT if decision.exits else Reason.UNSURE)
    assert decision.gain == approx(1 - said.confidence)


def test_the_ends_of_the_scale() -> None:
    assert ExitPolicy(Policy(), 0.0).decide(prediction(0.5)).exits
    assert ExitPolicy(Policy(), 1.0).decide(prediction(1.0)).exits
    assert not ExitPolicy(Policy(), 1.01).decide(prediction(1.0)).exits


@pytest.mark.parametrize("bad", [-0.1, float("nan"), 95, "0.5", True])
def test_a_threshold_that_is_none_is_refused(bad: Any) -> None:
    with pytest.raises(ConfigError, match="expected threshold as a confidence from 0"):
        ExitPolicy(Policy(), bad)


LABELS = ("empty", "wolf", "person")


def three(empty: float, wolf: float, person: float) -> Prediction:
    return Prediction(LABELS, np.array([empty, wolf, person], np.float32))


def policy(**wants: object) -> ExitPolicy:
    return ExitPolicy(Policy(threshold=0.8), None, Preferences(**wants), LABELS)  # type: ignore[arg-type]


def test_a_class_that_is_never_uploaded_exits_with_its_reason() -> None:
    private = policy(never_upload=("person",))
    assert private.decide(three(0.1, 0.2, 0.7)) == Decision(True, Reason.PRIVATE, approx(0.3))
    assert private.decide(three(0.5, 0.25, 0.25)).reason is Reason.PRIVATE  # it may be one
    assert private.decide(three(0.5, 0.45, 0.05)).reason is Reason.UNSURE
    assert private.decide(three(0.05, 0.05, 0.9)).reason is Reason.CONFIDENT
    assert policy(never_upload=("person",), floor=0.7).decide(three(0.2, 0.2, 0.6)).reason is Reason.PRIVATE


def test_a_rare_class_is_worth_more() -> None:
    weighted = policy(weights={"wolf": 10.0})
    assert weighted.decide(three(0.5, 0.4, 0.1)).gain == approx(0.5 * (0.5 + 4.0 + 0.1))
    assert weighted.decide(three(0.5, 0.0, 0.5)).gain == approx(0.5)


def test_floor_and_ceiling_bound_the_threshold() -> None:
    bounded = ExitPolicy(Policy(), 0.0, Preferences(floor=0.4), LABELS)
    assert bounded.decide(three(0.35, 0.33, 0.32)) == Decision(False, Reason.UNSURE, approx(1.0))
    assert bounded.decide(three(0.5, 0.3, 0.2)).exits
    assert ExitPolicy(Policy(), 1.01, Preferences(ceiling=0.9), LABELS).decide(three(0.95, 0.03, 0.02)).exits


def test_the_calibrated_gain_orders_frames_where_the_threshold_decides() -> None:
    table = GainTable((0.0, 1.0), ((0.6, 0.0), (0.2, 0.0), (0.2, 0.0)))
    calibrated = ExitPolicy(Policy(threshold=0.8, gains=table))
    assert calibrated.decide(three(0.5, 0.3, 0.2)) == Decision(False, Reason.UNSURE, approx(0.3))
    assert calibrated.decide(three(0.3, 0.5, 0.2)).gain == approx(0.1)
    assert calibrated.decide(three(0.9, 0.05, 0.05)).exits


@pytest.mark.parametrize(
    "wants",
    [
        {"weights": {"wolf": -1.0}},
        {"weights": {"wolf": float("inf")}},
        {"floor": 0.9, "ceiling": 0.5},
        {"private_above": 0.0},
        {"min_worth": 2.0},
    ],
)
def test_preferences_out_of_range_are_refused(wants: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        Preferences(**wants)  # type: ignore[arg-type]


def test_preferences_name_the_bundles_classes() -> None:
    with pytest.raises(ConfigError, match=r"expected classes of the bundle \(empty, wolf, person\); got lynx"):
        policy(never_upload=("lynx",))
