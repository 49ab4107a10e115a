"""Thresholds of a rollup: what they give, against counts, and whether the promise holds on new frames."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from table_parts import TREE, TREE_LABELS, records_of, unsure_logits

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.policy import Policy
from edge_sdk.model.taxonomy import Rollup
from edge_sdk.workbench.calibrate_rollup import calibrate_rollup, in_policy, rollup_point, rollup_threshold
from edge_sdk.workbench.cascade.confidence import softmax
from edge_sdk.workbench.records import Records

CLASSES = len(TREE_LABELS)
ROLLUP = Rollup(TREE, TREE_LABELS)


def some(seed: int, count: int = 600, lift: float = 2.0) -> Records:
    truths = np.random.default_rng(seed).integers(0, CLASSES, count)
    return records_of(unsure_logits(truths, CLASSES, seed + 1, lift=lift), truths, TREE_LABELS)


@given(seed=st.integers(0, 100), threshold=st.floats(0, 1))
def test_counts_are_those_of_each_answer(seed: int, threshold: float) -> None:
    records = some(seed, 40)
    chances = records.calibrated(1.0)
    point = rollup_point(ROLLUP, chances, records.truths, threshold)
    said = [ROLLUP.named(row, threshold) for row in chances]
    above = {label: {label, *TREE.classes.get(label, ()), TREE.root} for label in TREE_LABELS}
    wrong = [
        one.label not in above[TREE_LABELS[truth]] for one, truth in zip(said, records.truths.tolist(), strict=True)
    ]
    assert point.classes == sum(one.level == "" for one in said)
    assert point.groups == sum(one.level not in ("", "root") for one in said)
    assert (point.wrong, point.records) == (sum(wrong), 40)
    if point.given:
        assert point.accuracy == pytest.approx(1 - sum(wrong) / point.given)


def test_the_promise_fails_no_more_often_than_it_says() -> None:
    """100 calibrations of 300 frames; each threshold is judged on 20,000 frames of the same source."""
    source = np.random.default_rng(0)
    truths = source.integers(0, CLASSES, 20_000)
    chances = softmax(unsure_logits(truths, CLASSES, 1))
    failed = given_ = 0
    for _ in range(100):
        rows = source.choice(len(truths), 300, replace=False)
        fitting = np.zeros(300, np.bool_)
        fitting[:120] = True
        found = rollup_threshold(ROLLUP, chances[rows], truths[rows], fitting, right=0.85, delta=0.1)
        if found is not None:
            given_ += 1
            failed += rollup_point(ROLLUP, chances, truths, found.threshold).accuracy < 0.85
    assert given_ > 80
    assert failed <= 17  # of Bin(100, 0.1), 1 in 100 is more


def test_groups_answer_more_frames_at_the_same_promise() -> None:
    records = some(5, 2000)
    chances, fitting = records.calibrated(1.0), np.arange(2000) % 5 < 2
    alone = Rollup(msgspec.structs.replace(TREE, classes={"other": ("group",)}), TREE_LABELS)
    found = rollup_threshold(ROLLUP, chances, records.truths, fitting, right=0.9, delta=0.05)
    classes = rollup_threshold(alone, chances, records.truths, fitting, right=0.9, delta=0.05)
    assert found is not None and classes is not None
    assert classes.groups == 0
    assert found.given > classes.given
    assert min(found.accuracy, classes.accuracy) >= 0.9


def test_both_models_have_a_threshold_of_their_own() -> None:
    little, big = some(7, 1500), some(7, 1500, lift=4.0)
    policy = Policy(threshold=0.9)
    kept = calibrate_rollup(little, big, TREE, policy, right=0.85)
    out = calibrate_rollup(little, big, TREE, policy, right=0.85, exits=True)
    assert kept.cloud is not None and kept.cloud.records < kept.device.records
    assert kept.rule.threshold == out.rule.threshold == kept.device.threshold
    assert (kept.rule.exit, out.rule.exit) == (False, True)
    assert out.exits > kept.exits
    assert len(kept.sentences()) == 4
    written = in_policy(policy, kept, little, TREE)
    assert written.rollup == kept.rule
    assert written.confidences is not None and sum(written.confidences.counts) == 1500


def test_what_cannot_be_promised_is_said() -> None:
    with pytest.raises(WorkbenchError, match="cannot promise, with 95% confidence, that 99% of the answers"):
        calibrate_rollup(some(1, 200, lift=0.0), some(2, 200), TREE, Policy(), right=0.99)
    with pytest.raises(WorkbenchError, match=r"expected a share in \(0, 1\)"):
        calibrate_rollup(some(1, 200), some(2, 200), TREE, Policy(), right=1.0)
