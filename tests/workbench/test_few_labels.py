"""Labels only where they matter: the same result as with all of them, and what happens on the way there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.calibration import Rule
from edge_sdk.workbench.few_labels import ask, calibrate_few
from edge_sdk.workbench.records import UNKNOWN, Records, RecordsInfo, from_logits

LABELS = ("a", "b", "c")


def pair(count: int = 3000, seed: int = 0, *, better: bool = False) -> tuple[Records, Records]:
    """A little model that knows when it is unsure; `better`: it is often right where it differs and is fairly sure."""
    rng = np.random.default_rng(seed)
    truths = rng.integers(0, 3, count)
    sure = rng.choice([0.5, 5.0], count)
    logits = rng.normal(0, 1, (count, 3)).astype(np.float32)
    logits[np.arange(count), truths] += sure
    cloud = rng.normal(0, 1, (count, 3)).astype(np.float32)
    cloud[np.arange(count), truths] += np.where(sure > 1, 2.0, 4.0) if better else 4.0
    ids = [f"{index:05d}" for index in range(count)]
    little = from_logits(RecordsInfo(model="little", labels=LABELS, macs=10), ids, list(truths), logits)
    big = from_logits(RecordsInfo(model="big", labels=LABELS, macs=100), ids, list(truths), cloud, [1000] * count)
    return little, big


def blind(little: Records, big: Records) -> tuple[Records, Records]:
    """The same records of pictures that nobody has labelled."""
    unknown = np.full(len(little), UNKNOWN)
    return replace(little, truths=unknown), replace(big, truths=unknown)


def told(records: Records, rows: np.ndarray) -> dict[str, str]:
    """What a person says of these records."""
    return {str(records.ids[row]): LABELS[int(records.truths[row])] for row in rows}


@pytest.mark.parametrize(
    ("rule", "better"),
    [(Rule(eps=0.02), False), (Rule(eps=0.005), False), (Rule(eps=0.0), True), (Rule(as_right=0.97), False)],
)
def test_the_result_is_that_with_all_labels(rule: Rule, better: bool) -> None:
    little, big = pair(better=better)
    whole = calibrate_few(little, big, rule, {})
    unknown = blind(little, big)
    questions = ask(*unknown, rule)
    assert len(questions) < 0.5 * len(little)
    few = calibrate_few(*unknown, rule, told(little, questions.rows))
    assert few.policy == whole.policy
    assert (few.lost, few.won, few.evaluated) == (whole.lost, whole.won, whole.evaluated)
    assert few.complete and whole.complete and whole.answers == 0
    assert few.used < few.answers == len(questions)


def test_a_person_may_stop_early_and_go_on() -> None:
    little, big = pair()
    rule = Rule(eps=0.02)
    unknown = blind(little, big)
    rows = ask(*unknown, rule).rows
    assert (np.diff(ask(*unknown, rule).score[rows]) <= 0).all()
    thresholds, ends = [], []
    for count in (3, 9, 20, len(rows)):
        found = calibrate_few(*unknown, rule, told(little, rows[:count]))
        thresholds.append(found.policy.threshold)
        ends.append(found.complete)
    assert thresholds == sorted(thresholds, reverse=True)
    assert not ends[0] and ends[-1]
    first = calibrate_few(*unknown, rule, told(little, rows[:3]))
    assert "more answers may send fewer frames" in first.sentence()
    assert "more answers change nothing" in calibrate_few(little, big, rule, {}).sentence()


def test_a_walk_that_ended_needs_no_further_answer() -> None:
    little, big = pair()
    rule = Rule(eps=0.005)
    unknown = blind(little, big)
    rows = ask(*unknown, rule).rows
    whole = calibrate_few(little, big, rule, {})
    ended = next(
        count
        for count in range(20, len(rows), 10)
        if calibrate_few(*unknown, rule, told(little, rows[:count])).complete
    )
    assert ended < len(rows)
    assert calibrate_few(*unknown, rule, told(little, rows[:ended])).policy == whole.policy


def test_the_start_is_asked_first_where_it_matters() -> None:
    little, big = pair(better=True)
    unknown = blind(little, big)
    strict, likely = ask(*unknown, Rule(eps=0.01)), ask(*unknown, Rule(eps=0.0))
    assert len(likely) > len(strict)
    with pytest.raises(WorkbenchError, match=r"expected an answer to the first questions.*are missing"):
        calibrate_few(*unknown, Rule(eps=0.0), told(little, likely.rows[:30]))


def test_what_cannot_be_done_is_told() -> None:
    little, big = pair(400)
    unknown = blind(little, big)
    with pytest.raises(WorkbenchError, match="expected a rule with a guarantee"):
        ask(*unknown, Rule(drop=0.0))
    third, fourth = pair(400, seed=2)  # its surest frame is in the evaluation part, and is in question
    sure = blind(third, replace(fourth, predicted=(third.predicted + 1) % 3))
    with pytest.raises(WorkbenchError, match="expected more answers"):
        calibrate_few(*sure, Rule(eps=0.02), {})
    with pytest.raises(WorkbenchError, match="cannot promise what is asked for"):
        calibrate_few(little, big, Rule(eps=0.0001), {})
    with pytest.raises(WorkbenchError, match="400 of 400 have no label"):
        _ = unknown[0].right
    row = int(np.flatnonzero(little.predicted != big.predicted)[0])
    other = LABELS[(int(little.truths[row]) + 1) % 3]
    with pytest.raises(WorkbenchError, match="the class of its folder; got"):
        calibrate_few(little, big, Rule(eps=0.02), {str(little.ids[row]): other})
