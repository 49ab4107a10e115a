"""Searches for the thresholds of a chain."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from chain_parts import chains, walked
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.cascade.chain import UNUSED, Stage, evaluate
from edge_sdk.workbench.cascade.threshold_search import METHODS, search


@settings(max_examples=40, deadline=None)
@given(chains(), st.sampled_from([0.0, 0.3, 0.8, 1.0]), st.sampled_from(METHODS))
def test_a_search_finds_no_worse_than_the_last_stage_alone(stages: list[Stage], weight: float, method: str) -> None:
    found = search(stages, weight, method=method)
    assert found.cost <= weight * (1 - 1.0) + (1 - weight) * 1.0 + 1e-9 or not stages[-1].right.any()
    assert (found.accuracy, found.macs) == pytest.approx(walked(stages, found.thresholds))


@settings(max_examples=40, deadline=None)
@given(chains(), st.sampled_from([0.2, 0.6, 0.9]))
def test_going_round_is_never_worse_and_ends_at_a_local_optimum(stages: list[Stage], weight: float) -> None:
    found = search(stages, weight, method="circular")
    assert found.cost <= min(search(stages, weight, method=other).cost for other in METHODS) + 1e-12
    whole = sum(stage.way_macs for stage in stages) + stages[-1].macs
    best = max(float(stages[-1].right.mean()), 1e-9)
    for index, options in enumerate([UNUSED, *np.unique(stage.confidence)] for stage in stages[:-1]):
        for option in options:
            changed = (*found.thresholds[:index], float(option), *found.thresholds[index + 1 :])
            accuracy, macs = walked(stages, changed)
            assert found.cost <= weight * (1 - accuracy / best) + (1 - weight) * macs / whole + 1e-9


def test_stages_that_do_not_pay_are_unused() -> None:
    useless = Stage(np.array([0.9, 0.8, 0.7]), np.zeros(3, bool), 50.0)
    good = Stage(np.array([0.9, 0.9, 0.9]), np.ones(3, bool), 10.0)
    big = Stage(np.zeros(3), np.ones(3, bool), 100.0)
    for method in METHODS[:2]:
        found = search([useless, good, big], 0.9, method=method)
        assert found.thresholds[0] == UNUSED
        assert found.macs == 10.0


def test_a_cautious_search_does_not_trust_few_records() -> None:
    confidence = np.linspace(1, 0, 40)
    few = Stage(confidence, confidence > 0.97, 1.0)  # right on the two surest, then wrong
    big = Stage(np.zeros(40), np.arange(40) % 10 != 5, 1000.0)
    plain = search([few, big], 0.995)
    cautious = search([few, big], 0.995, conservative=0.01)
    assert plain.shares[0] > 0
    assert cautious.shares[0] == 0
    assert stats.beta.ppf(0.01, 3, 1) < 0.9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "guess"}, "expected a method of one-pass"),
        ({"weight": 1.5}, "expected a weight from 0 to 1"),
        ({"conservative": 1.0}, "expected a quantile between"),
    ],
)
def test_bad_searches_are_refused(options: dict[str, Any], message: str) -> None:
    stage = Stage(np.array([0.5]), np.array([True]), 1.0)
    with pytest.raises(WorkbenchError, match=message):
        search([stage, stage], **{"weight": 0.5, **options})
    with pytest.raises(WorkbenchError, match="expected two or more stages"):
        evaluate([stage], [])
    with pytest.raises(WorkbenchError, match="expected 1 thresholds for 2 stages"):
        evaluate([stage, stage], [])
    with pytest.raises(WorkbenchError, match="of stage 2"):
        evaluate([stage, Stage(np.array([0.5, 0.6]), np.array([True, False]), 1.0)], [0.5])
