"""Calibration of a pair from records: rules, promises, gate, ensemble."""

from __future__ import annotations

import numpy as np
import pytest
from record_parts import LABELS, pair

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.policy import ExitPolicy
from edge_sdk.types import Prediction
from edge_sdk.workbench.calibrate import calibrate_records
from edge_sdk.workbench.calibration import Rule
from edge_sdk.workbench.records import Records, RecordsInfo, from_logits


def test_the_guaranteed_rule_says_what_it_promises() -> None:
    found = calibrate_records(*pair(), Rule(eps=0.02, frames_per_day=2000))
    assert found.guaranteed and found.promise == 0.02
    assert found.point.accuracy >= found.big_accuracy - 0.02
    assert 0.2 < found.point.exit_ratio < 1
    assert "with 95% confidence accuracy is at most 2.00 points below the big model" in found.sentence()
    assert "MB a day at 2,000 frames" in found.sentence()
    assert found.policy.big_macs == 100 and found.policy.confidences is not None


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        (Rule(drop=0.0), lambda found: found.point.accuracy >= found.big_accuracy - 0.01),
        (Rule(offload_ratio=0.3), lambda found: 1 - found.point.exit_ratio <= 0.33),
        (Rule(macs=40.0), lambda found: found.point.macs <= 43),
        (Rule(bytes_per_day=4e6, frames_per_day=1000), lambda found: found.point.upload_bytes <= 4400),
    ],
)
def test_the_plain_rules_hold_on_the_records_they_were_not_chosen_on(rule: Rule, holds) -> None:  # type: ignore[no-untyped-def]
    found = calibrate_records(*pair(), rule)
    assert holds(found)
    assert not found.guaranteed
    assert found.promise > found.big_accuracy - found.point.accuracy


def test_records_on_which_the_little_model_is_as_good_do_not_silence_the_big_one() -> None:
    _, big = pair(150)
    little = from_logits(
        RecordsInfo(model="little", labels=LABELS, macs=10), big.ids.tolist(), list(big.truths), big.logits
    )
    assert calibrate_records(little, big, Rule(drop=0.0)).policy.threshold == 0.0
    assert calibrate_records(little, big, Rule(near=0.5578)).policy.threshold == 0.5578


def test_a_promise_that_cannot_be_given_says_which_can() -> None:
    with pytest.raises(
        WorkbenchError, match=r"cannot promise, .* an accuracy at most 0.10 points below .* \(--eps 0.0"
    ):
        calibrate_records(*pair(400), Rule(eps=0.001))


def test_the_exits_alone_can_be_promised() -> None:
    found = calibrate_records(*pair(), Rule(as_right=0.95))
    assert found.guaranteed and found.as_right == 0.95 and found.promise == pytest.approx(0.05)
    assert found.policy.ensemble == 0.0
    assert "at least 95% of the frames that exit are answered as rightly as by the big model" in found.sentence()
    assert 0.2 < found.point.exit_ratio < 1
    with pytest.raises(WorkbenchError, match=r"cannot promise, with 95% confidence, that at least 99\.9% of the"):
        calibrate_records(*pair(400), Rule(as_right=0.999))
    with pytest.raises(WorkbenchError, match="expected as_right between 0 and 1"):
        Rule(as_right=1.0)


def test_the_difference_to_the_big_model_stands_with_its_interval() -> None:
    found = calibrate_records(*pair(), Rule(offload_ratio=0.3))
    difference = found.difference
    assert difference.low < difference.value < difference.high
    assert difference.value == pytest.approx(found.point.accuracy - found.big_accuracy)


def test_a_gate_is_taken_where_it_is_better_and_decides_as_the_records_say() -> None:
    little, big = pair(6000, hopeless=True)
    found = calibrate_records(little, big, Rule(drop=0.0), allow_ensemble=False)
    assert found.policy.gate is not None
    plain = calibrate_records(little, big, Rule(drop=0.0), learned_gate=False, allow_ensemble=False)
    assert plain.policy.gate is None
    assert found.point.macs < plain.point.macs
    policy = ExitPolicy(found.policy)
    assert policy.threshold is None
    chances = little.calibrated(found.policy.temperature)
    exits = [policy.decide(Prediction(LABELS, row)).exits for row in chances[:2000]]
    assert np.mean(exits) == pytest.approx(found.point.exit_ratio, abs=0.03)


def test_an_ensemble_is_used_only_where_it_helps() -> None:
    little, big = pair(6000, seed=3)
    found = calibrate_records(little, big, Rule(drop=0.0))
    if found.policy.ensemble:
        alone = calibrate_records(little, big, Rule(drop=0.0), allow_ensemble=False)
        assert found.curve.accuracy.max() >= alone.curve.accuracy.max()
    noise = Records(
        big.info,
        big.ids,
        big.truths,
        big.truths,
        np.ones(len(big), np.float32),
        np.eye(3, dtype=np.float16)[big.truths],
    )
    assert calibrate_records(little, noise, Rule(offload_ratio=0.5)).policy.ensemble == 0.0


def test_records_that_do_not_fit_are_refused() -> None:
    little, big = pair(300)
    with pytest.raises(WorkbenchError, match="expected at least 100 labelled pictures; got 50"):
        calibrate_records(little.part(np.arange(50)), big.part(np.arange(50)), Rule(drop=0.0))
    with pytest.raises(WorkbenchError, match="expected the same sample ids of little and big; record 0"):
        calibrate_records(little, big.part(np.arange(300)[::-1]), Rule(drop=0.0))
    with pytest.raises(WorkbenchError, match="expected one of eps, as_right, drop"):
        Rule()
    with pytest.raises(WorkbenchError, match="got eps, drop"):
        Rule(eps=0.1, drop=0.1)
