"""Chains and exit sequences: evaluation and search against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from chain_parts import chains, grid, walked
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.workbench.cascade.chain import UNUSED, Stage, advantage, evaluate


@given(chains(), st.data())
def test_a_chain_is_walked_record_by_record(stages: list[Stage], data: st.DataObject) -> None:
    thresholds = data.draw(st.sampled_from(grid(stages)))
    found = evaluate(stages, thresholds)
    assert (found.accuracy, found.macs) == pytest.approx(walked(stages, thresholds))
    assert sum(found.shares) == pytest.approx(1)


@given(st.permutations(range(12)), st.data())
def test_a_single_exit_has_no_advantage_over_itself(order: list[int], data: st.DataObject) -> None:
    right = [np.array(data.draw(st.lists(st.booleans(), min_size=12, max_size=12))) for _ in range(3)]
    stages = [
        Stage(np.array(order) / 12, right[0], 1.0),
        Stage(np.zeros(12), right[1], 2.0, 5.0),
        Stage(np.ones(12), right[2], 0.0, 7.0),
    ]
    threshold = data.draw(st.sampled_from([value / 12 for value in range(13)]))
    found = advantage(stages, (threshold, UNUSED), draws=20)
    assert found.value == pytest.approx(0.0, abs=1e-9)
    assert found.low <= found.value + 1e-9 and found.high >= found.value - 1e-9


def test_an_exit_that_is_always_right_has_an_advantage() -> None:
    rng = np.random.default_rng(0)
    sure, right = rng.random(400), rng.random(400) < 0.5
    stages = [
        Stage(sure, right, 1.0),
        Stage(np.ones(400), np.ones(400, np.bool_), 1.0, 10.0),
        Stage(np.ones(400), np.ones(400, np.bool_), 0.0, 90.0),
    ]
    found = advantage(stages, (0.5, 0.5), draws=200)
    here = evaluate(stages, (0.5, 0.5))
    share = (here.macs - 1) / 100  # the plain cascade offloads this many, the least sure first
    kept = np.sort(sure)[round(400 * share)]
    assert found.value == pytest.approx(here.accuracy - np.where(sure < kept, True, right).mean(), abs=0.003)
    assert 0 < found.low < found.value < found.high
