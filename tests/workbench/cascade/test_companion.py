"""TinySaver's rule and the robust one, against a walk record by record."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.cascade.companion import Candidate, advice, choose_exit, rank_companions

RECORDS = st.lists(st.tuples(st.integers(0, 6), st.booleans(), st.booleans()), min_size=1, max_size=25)


def arrays(records: list[tuple[int, bool, bool]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return tuple(np.array([one[k] for one in records]) for k in range(3))  # type: ignore[return-value]


@given(RECORDS)
def test_the_papers_rule_lowers_t_until_the_candidate_falls_behind(records: list[tuple[int, bool, bool]]) -> None:
    confidence, little, big = arrays(records)
    kept = 0
    for threshold in np.unique(confidence)[::-1]:
        exits = confidence >= threshold
        if little[exits].mean() < big[exits].mean():
            break
        kept = int(exits.sum())
    found = choose_exit(confidence / 6, little, big, cost_ratio=0.1, rule="paper")
    assert found.exit_ratio == pytest.approx(kept / len(records))
    assert found.saving == pytest.approx(0.1 - kept / len(records))
    assert int((confidence / 6 >= found.threshold).sum()) == kept


@given(RECORDS)
def test_the_robust_rule_keeps_at_least_as_much_and_is_not_behind(records: list[tuple[int, bool, bool]]) -> None:
    confidence, little, big = arrays(records)
    paper = choose_exit(confidence / 6, little, big, cost_ratio=0.1, rule="paper")
    robust = choose_exit(confidence / 6, little, big, cost_ratio=0.1)
    assert robust.exit_ratio >= paper.exit_ratio
    exits = confidence / 6 >= robust.threshold
    assert little[exits].sum() >= big[exits].sum()


def test_one_unlucky_record_does_not_stop_the_robust_rule() -> None:
    confidence = np.linspace(1, 0, 200)
    little = np.ones(200, bool)
    little[0] = False  # the surest record of all is wrong
    little[150:] = False
    big = np.ones(200, bool)
    big[20:30] = False
    assert choose_exit(confidence, little, big, cost_ratio=0.05, rule="paper").exit_ratio == 0.0
    robust = choose_exit(confidence, little, big, cost_ratio=0.05)
    assert 0.75 <= robust.exit_ratio <= 0.8


def candidate(name: str, sure: int, macs: float) -> Candidate:
    confidence = np.linspace(1, 0, 100)
    right = np.arange(100) < sure
    return Candidate(name, confidence, right, confidence, right, macs)


def test_companions_are_ranked_by_what_they_save() -> None:
    big = np.ones(100, bool)
    ranked = rank_companions(
        [candidate("tiny", 30, 1.0), candidate("good", 70, 10.0), candidate("fat", 100, 100.0)],
        big_right=big,
        test_big_right=big,
        big_macs=100.0,
        upload_bytes=np.full(100, 1000),
        joules_per_byte=1e-6,
    )
    assert [one.name for one in ranked] == ["good", "tiny"]  # the fat one costs as much as the big model
    assert ranked[0].relative_macs == pytest.approx(0.1 + 0.3)
    assert ranked[0].upload_bytes == pytest.approx(300)
    assert ranked[0].energy_mj == pytest.approx(0.3)
    assert "Take good" in advice(ranked) and "tiny is next" in advice(ranked)


def test_where_none_saves_none_is_advised() -> None:
    big = np.ones(100, bool)
    assert "no candidate costs less" in advice([])
    ranked = rank_companions([candidate("dear", 10, 50.0)], big_right=big, test_big_right=big, big_macs=100.0)
    assert advice(ranked).startswith("Take none: even dear")


def test_unknown_rules_are_refused() -> None:
    yes = np.ones(2, bool)
    with pytest.raises(WorkbenchError, match="expected a rule of paper, robust"):
        choose_exit(np.array([0.5, 0.6]), yes, yes, cost_ratio=0.1, rule="best")
