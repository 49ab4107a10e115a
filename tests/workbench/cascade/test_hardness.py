"""The hardness and transfer reports."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.cascade.curve import cascade_curve
from edge_sdk.workbench.cascade.hardness import hardness, transfer


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_each_record_is_in_one_bin_and_one_kind(records: list[tuple[float, bool, bool]]) -> None:
    confidence, little, big = (np.array([one[k] for one in records]) for k in range(3))
    bins = hardness(confidence, little, big)
    assert sum(one.records for one in bins) == len(records)
    assert sum(one.correctable for one in bins) == int((~little & big).sum())
    assert sum(one.broken for one in bins) == int((little & ~big).sum())
    for one in bins:
        last = one.high == 1.0
        inside = (confidence >= one.low) & ((confidence <= one.high) if last else (confidence < one.high))
        assert one.records == int(inside.sum())
        if one.records:
            assert one.gain == pytest.approx(float(big[inside].mean() - little[inside].mean()))


def test_edges_must_rise_and_cover() -> None:
    yes = np.ones(2, bool)
    with pytest.raises(WorkbenchError, match="rising edges"):
        hardness(np.array([0.2, 0.4]), yes, yes, edges=[0.5, 0.5])
    with pytest.raises(WorkbenchError, match=r"expected edges that cover 0.2 to 0.4; got 0.3 to 1"):
        hardness(np.array([0.2, 0.4]), yes, yes, edges=[0.3, 1.0])


def test_a_threshold_of_one_set_is_judged_on_another() -> None:
    confidence = np.linspace(0, 1, 101)
    here = cascade_curve(confidence, confidence > 0.5, np.ones(101, bool), little_macs=1, big_macs=10)
    there = cascade_curve(confidence, confidence > 0.8, np.ones(101, bool), little_macs=1, big_macs=10)
    found = transfer(here, there, drops=(0.0,))[0]
    assert found.chosen.accuracy == 1.0
    assert found.loss == pytest.approx(1 - there.at(found.chosen.threshold).accuracy) and found.loss > 0.25
    assert found.own.threshold > 0.8
