"""Exit at or above the threshold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.errors import ConfigError
from edge_sdk.policy import ExitPolicy, Policy
from edge_sdk.types import Prediction, Reason


def prediction(confidence: float) -> Prediction:
    return Prediction(("a", "b"), np.array([confidence, 1 - confidence], np.float32))


@given(st.floats(0, 1), st.floats(0.5, 1))
def test_the_rule_is_confidence_at_or_above_threshold(threshold: float, confidence: float) -> None:
    said = prediction(confidence)
    decision = ExitPolicy(Policy(), threshold).decide(said)
    assert decision.exits == (said.confidence >= threshold)
    assert decision.reason is (Reason.CONFIDENT if decision.exits else Reason.UNSURE)
    assert decision.gain == pytest.approx(1 - said.confidence)


def test_the_ends_of_the_scale() -> None:
    assert ExitPolicy(Policy(), 0.0).decide(prediction(0.5)).exits
    assert ExitPolicy(Policy(), 1.0).decide(prediction(1.0)).exits
    assert not ExitPolicy(Policy(), 1.01).decide(prediction(1.0)).exits


@pytest.mark.parametrize("bad", [-0.1, float("nan")])
def test_a_threshold_that_is_none_is_refused(bad: float) -> None:
    with pytest.raises(ConfigError, match="expected a threshold of 0 or more"):
        ExitPolicy(Policy(), bad)
