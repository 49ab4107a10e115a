"""Frames that look like none of calibration."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from edge_sdk.errors import ConfigError
from edge_sdk.model.outside import OutsideRule
from edge_sdk.model.policy import ExitPolicy, Policy, Preferences
from edge_sdk.types import Prediction, Reason

RULE = OutsideRule(least=(2.0, 5.0), share=0.01, gain=0.2)
POLICY = Policy(threshold=0.8, outside=RULE)


def said(energy: float | None, *chances: float) -> Prediction:
    return Prediction(("fox", "person"), np.array(chances, np.float32), energy)


@pytest.mark.parametrize(
    ("prediction", "reason"),
    [
        (said(3.0, 0.9, 0.1), Reason.CONFIDENT),
        (said(1.0, 0.9, 0.1), Reason.OUTSIDE),
        (said(4.0, 0.1, 0.9), Reason.OUTSIDE),
        (said(None, 0.9, 0.1), Reason.CONFIDENT),
        (said(1.0, 0.6, 0.4), Reason.UNSURE),
    ],
)
def test_a_confident_frame_of_low_energy_for_its_class_is_offloaded(prediction: Prediction, reason: Reason) -> None:
    decision = ExitPolicy(POLICY).decide(prediction)
    assert (decision.reason, decision.exits) == (reason, reason is Reason.CONFIDENT)
    if reason is Reason.OUTSIDE:
        assert decision.gain == 0.2


def test_what_the_application_wants_goes_before() -> None:
    odd = said(1.0, 0.1, 0.9)
    labels = ("fox", "person")
    never = ExitPolicy(POLICY, preferences=Preferences(never_upload=("person",)), labels=labels).decide(odd)
    assert (never.exits, never.reason) == (True, Reason.PRIVATE)
    assert ExitPolicy(POLICY, preferences=Preferences(ceiling=0.85), labels=labels).decide(odd).exits
    assert ExitPolicy(POLICY, threshold=0.0).decide(odd).reason is Reason.CONFIDENT


def test_a_rule_of_other_classes_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"outside.least of 3 classes; got 2"):
        ExitPolicy(POLICY, labels=("a", "b", "c"))
    with pytest.raises(ValueError, match="finite"):
        replace(RULE, least=(float("nan"), 0.0))
