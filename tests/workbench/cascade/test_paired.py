"""The difference of two accuracies on the same pictures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.cascade.paired import Difference, paired_difference


def pictures(won: int, lost: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Right answers of two models, of which `won` are the first's alone and `lost` the second's."""
    one, other = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    one[:won], other[won : won + lost] = True, True
    return one, other


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_the_difference_is_that_of_the_accuracies_and_turns_round(pairs: list[tuple[bool, bool]]) -> None:
    one, other = np.array(pairs).T
    found, turned = paired_difference(one, other), paired_difference(other, one)
    assert found.value == pytest.approx(one.mean() - other.mean())
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert (turned.value, turned.p_value) == pytest.approx((-found.value, found.p_value))
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low), abs=1e-4)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """All outcomes of 16 pictures, weighted by their chance."""
    count = 16
    intervals = {
        (won, lost): paired_difference(*pictures(won, lost, count))
        for won in range(count + 1)
        for lost in range(count + 1 - won)
    }
    for up, down in ((0.1, 0.1), (0.3, 0.1), (0.05, 0.2), (0.02, 0.02)):
        held = sum(
            stats.multinomial.pmf((won, lost, count - won - lost), count, (up, down, 1 - up - down))
            for (won, lost), found in intervals.items()
            if found.low <= up - down <= found.high
        )
        assert held >= 0.95


def test_models_that_never_differ_have_an_interval_all_the_same() -> None:
    same = np.ones(1000, np.bool_)
    found = paired_difference(same, same)
    assert (found.value, found.p_value) == (0.0, 1.0)
    assert found.low == pytest.approx(-found.high) and 0.001 < found.high < 0.006


def test_a_difference_is_counted_in_pairs_and_said_in_points() -> None:
    found = paired_difference(*pictures(10, 0, 100))
    assert found.value == pytest.approx(0.1) and found.low > 0 and found.p_value == pytest.approx(2 / 2**10)
    assert Difference(0.012, -0.003, 0.028, 0.1).points() == "+1.2 points (95%: -0.3 to +2.8)"
    with pytest.raises(WorkbenchError):
        paired_difference(np.ones(3, np.bool_), np.ones(2, np.bool_))
