"""Evidence: estimates by hand, against a brute-force mean over all draws, and the alarm's path."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from store_parts import NOON

from edge_sdk.model.agreement import Agreement
from edge_sdk.model.betting import BETS, LOG_SHARES
from edge_sdk.model.evidence import log_e_values, stratified, weigh
from edge_sdk.model.policy import Policy
from edge_sdk.store.audits import EVERY, OTHERS, AuditCounts, Audits, Difference

CHANCES = np.array([0.3, 0.6])
PROMISE = Policy(
    agreement=Agreement(edges=(), exits=(1000,), differ=(5,), at_most=0.01), calibration={"promised_loss": 0.005}
)


def differences(count: int, every: int, chance: float = 0.1) -> tuple[Difference, ...]:
    return tuple(
        Difference(f"{n:032x}", (n + 1) * every, chance, NOON + timedelta(minutes=n), "fox", "deer", None, None)
        for n in range(count)
    )


def test_each_chance_counts_for_all_of_its_frames() -> None:
    counts = (
        AuditCounts(0.1, frames=900, drawn=100, answered=90, differ=9),
        AuditCounts(0.5, frames=100, drawn=50, answered=50, differ=25),
    )
    share = stratified(counts, lambda one: one.differ, lambda one: one.answered)
    assert share == pytest.approx(0.9 * 0.1 + 0.1 * 0.5)


def test_a_chance_of_which_nothing_is_known_goes_with_the_next() -> None:
    counts = (AuditCounts(0.1, frames=30), AuditCounts(0.5, frames=70, drawn=4, answered=4, differ=1))
    assert stratified(counts, lambda one: one.differ, lambda one: one.answered) == pytest.approx(0.25)
    assert stratified(counts[::-1], lambda one: one.differ, lambda one: one.answered) == pytest.approx(0.25)
    assert stratified(counts[:1], lambda one: one.differ, lambda one: one.answered) is None


@settings(deadline=None, max_examples=20)
@given(
    st.lists(st.tuples(st.sampled_from([0.3, 0.6]), st.booleans()), min_size=1, max_size=7),
)
def test_the_estimate_is_without_bias_given_that_each_chance_was_drawn(units: list[tuple[float, bool]]) -> None:
    """The mean over all draws, each with its probability, of those in which every chance has a frame."""
    present, total, mean = {chance for chance, _ in units}, 0.0, 0.0
    for draws in product([False, True], repeat=len(units)):
        if {chance for (chance, _), drawn in zip(units, draws, strict=True) if drawn} != present:
            continue
        weight = 1.0
        for (chance, _), drawn in zip(units, draws, strict=True):
            weight *= chance if drawn else 1 - chance
        counts = []
        for chance in sorted(present):
            mine = [(one, drawn) for (of, one), drawn in zip(units, draws, strict=True) if of == chance]
            drawn_of = sum(drawn for _, drawn in mine)
            counts.append(
                AuditCounts(chance, len(mine), drawn_of, drawn_of, differ=sum(one and drawn for one, drawn in mine))
            )
        share = stratified(counts, lambda one: one.differ, lambda one: one.answered)
        assert share is not None
        total, mean = total + weight, mean + weight * share
    assert mean / total == pytest.approx(sum(one for _, one in units) / len(units))


def test_a_promise_that_is_broken_raises_the_alarm_and_says_since_when() -> None:
    found = differences(30, every=20)  # of 600 exits 30 differ among about 60 audits: half of all
    counts = (AuditCounts(0.1, frames=600, drawn=60, answered=60, differ=30, open=30),)
    evidence = weigh(Audits(counts, (), found), PROMISE)
    assert evidence.broken and evidence.e_value > 20
    assert evidence.alarm is not None and NOON <= evidence.alarm < NOON + timedelta(minutes=10)
    assert evidence.differs is not None and evidence.differs.share == 0.5 and evidence.differs.low > 0.01
    assert "no longer holds since 2026-06-01" in evidence.sentence()
    assert evidence.promised_loss == 0.005


def test_an_alarm_stays_though_later_frames_agree() -> None:
    found = differences(12, every=20)
    counts = (AuditCounts(0.1, frames=100_000, drawn=10_000, answered=10_000, differ=12, open=12),)
    evidence = weigh(Audits(counts, (), found), PROMISE)
    assert evidence.broken and evidence.e_value < 1


def test_a_promise_that_holds_raises_none_and_rows_that_left_count() -> None:
    gone = (AuditCounts(OTHERS, frames=500), AuditCounts(0.0, frames=10), AuditCounts(0.1, 5000, 500, 500, differ=2))
    counts = (*gone[:2], AuditCounts(0.1, 10_000, 1000, 990, 10, differ=4, open=4))
    late = tuple(Difference(f"{n:032x}", 5000 + 2000 * (n + 1), 0.1, NOON, "fox", "deer", None, None) for n in range(2))
    evidence = weigh(Audits(counts, gone, late), PROMISE)
    assert not evidence.broken
    assert (evidence.exits, evidence.private, evidence.waiting) == (10_000, 10, 10)
    assert evidence.exit_share == pytest.approx(10_010 / 10_510)
    assert "nothing speaks against the promise" in evidence.sentence()


def test_without_a_promise_or_an_answer_it_says_so() -> None:
    assert "promises nothing" in weigh(Audits((AuditCounts(0.1, 100, 10, 10),), (), ()), Policy()).sentence()
    assert "nothing can be said" in weigh(Audits((), (), ()), PROMISE).sentence()


def test_people_say_what_is_lost() -> None:
    counts = (AuditCounts(0.5, 1000, 500, 500, differ=20, labelled=20, wrong=15, lost=8, won=2, open=10),)
    evidence = weigh(Audits(counts, (), ()), PROMISE)
    assert evidence.loss is not None
    assert evidence.loss.share == pytest.approx(20 / 500 * (8 - 2) / 10)
    assert evidence.loss.low < evidence.loss.share < evidence.loss.high
    assert evidence.wrong is not None and evidence.wrong.share == 0.75
    assert weigh(Audits((AuditCounts(0.5, 10, 5, 5, differ=2, open=2),), (), ()), PROMISE).loss is None


def played(exits: list[tuple[int, bool, bool]], share: float) -> float:
    """The evidence by tests that begin one after another, frame by frame: chance, drawn, differs."""
    capitals = {0: np.exp(LOG_SHARES) * (share * BETS < 1)}
    weights, audits = {0: 0.5}, 0
    for band, drawn, differs in exits:
        for capital in capitals.values():
            capital *= np.maximum(0.0, 1 + BETS * (drawn * differs / CHANCES[band] - share))
        audits += drawn
        if drawn and audits % EVERY == 0:
            number = audits // EVERY
            capitals[number] = np.exp(LOG_SHARES) * (share * BETS < 1)
            weights[number] = 0.5 / (number * (number + 1))
    return (
        sum(weights[number] * float(capital.sum()) for number, capital in capitals.items()) + 1 - sum(weights.values())
    )


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**32 - 1), st.floats(0.005, 0.3))
@example(401607, 0.25)  # a test begins at a frame that differs
def test_the_evidence_is_that_of_tests_played_frame_by_frame(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    exits = [(int(rng.integers(2)), bool(rng.random() < 0.6), bool(rng.random() < 0.05)) for _ in range(400)]
    found = [(place, band) for place, (band, drawn, differs) in enumerate(exits, 1) if drawn and differs]
    places, bands = np.array(found, np.int64).reshape(-1, 2).T
    drawn_at = [place for place, (_, drawn, _) in enumerate(exits, 1) if drawn]
    starts = [(number, drawn_at[number * EVERY - 1]) for number in range(1, len(drawn_at) // EVERY + 1)]
    path = log_e_values(places, bands, CHANCES, share, starts=starts, until=len(exits))
    assert np.exp(path[-1]) == pytest.approx(played(exits, share), rel=1e-6)
    for row in range(0, len(places), 7):
        assert np.exp(path[row]) == pytest.approx(played(exits[: places[row]], share), rel=1e-6)


def test_of_rows_that_left_the_tests_that_began_there_are_given_up() -> None:
    none, chances = np.zeros(0, np.int64), np.array([0.1])
    nothing = np.exp(log_e_values(none, none, chances, 0.01, until=0))
    assert nothing[-1] == pytest.approx(1.0, rel=0.02)  # bets that the share does not allow are given up
    assert np.exp(log_e_values(none, none, chances, 0.01, until=0, given_up=3))[-1] == pytest.approx(
        1 - 0.5 * 3 / 4, rel=0.02
    )
