"""The rule on frames that look like none of calibration, from records."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.policy import ExitPolicy, Policy
from edge_sdk.types import Prediction
from edge_sdk.workbench.outside_rule import outside_rule
from edge_sdk.workbench.records import Records, RecordsInfo, from_logits

LABELS = ("a", "b", "c")
POLICY = Policy(threshold=0.7)


def records(count: int = 4000, *, rare: int = 20) -> Records:
    """Logits of three classes, of which the last is rare."""
    rng = np.random.default_rng(0)
    truths = rng.integers(0, 2, count)
    truths[:rare] = 2
    logits = rng.normal(0, 1, (count, 3)).astype(np.float32)
    logits[np.arange(count), truths] += 5
    ids = [f"{index:05d}" for index in range(count)]
    return from_logits(RecordsInfo(model="little", labels=LABELS), ids, list(truths), logits)


def test_the_share_of_the_exits_is_what_was_asked_for_in_each_class() -> None:
    little = records()
    rule = outside_rule(little, POLICY, 0.02)
    assert little.energy is not None
    exits, sent = np.zeros(3), np.zeros(3)
    for row, energy in zip(little.calibrated(1.0), little.energy, strict=True):
        prediction = Prediction(LABELS, row, float(energy))
        if ExitPolicy(POLICY).decide(prediction).exits:
            exits[prediction.top] += 1
            sent[prediction.top] += rule.holds(prediction)
    assert (sent / exits)[:2] == pytest.approx(0.02, abs=0.002)
    assert rule.least[2] == pytest.approx(np.mean(rule.least[:2]), abs=0.3)  # too few frames: that of all


def test_without_energies_or_exits_there_is_no_rule() -> None:
    with pytest.raises(WorkbenchError, match="energy of each frame"):
        outside_rule(dataclasses.replace(records(), energy=None), POLICY, 0.01)
    with pytest.raises(WorkbenchError, match="frames that exit"):
        outside_rule(records(), Policy(threshold=1.0), 0.01)
