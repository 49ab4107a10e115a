"""Evidence: estimates by hand, against a brute-force mean over all draws, and the alarm's path."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_parts import NOON

from edge_sdk.model.agreement import Agreement
from edge_sdk.model.evidence import stratified, weigh, wrong
from edge_sdk.model.policy import EventRule, Policy
from edge_sdk.store.audits import OTHERS, AuditCounts, Audits, Difference

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
    assert evidence.wrong is not None and evidence.wrong.share == pytest.approx(0.04 * 8 / 10 + 0.96 * 7 / 10)
    assert weigh(Audits((AuditCounts(0.5, 10, 5, 5, differ=2, open=2),), (), ()), PROMISE).loss is None


def test_audits_on_which_the_models_differ_do_not_stand_for_all() -> None:
    """People who look where the models differ find the device wrong more often than it is."""
    looked = wrong((AuditCounts(0.5, 1000, 500, 500, differ=20, labelled=20, wrong=10, lost=10, won=10),))
    assert looked is not None and looked.share == pytest.approx(0.02) and looked.low < 0.02 < looked.high
    others = wrong((AuditCounts(0.5, 1000, 500, 500, differ=20, labelled=10, wrong=1, open=20),))
    assert others is not None and others.share == pytest.approx(0.04 + 0.96 * 0.1), "where nobody looked, the big model"
    unanswered = wrong((AuditCounts(0.5, 1000, 500, labelled=10, wrong=1),))
    assert unanswered is not None and unanswered.share == 0.1


BOTH = msgspec.structs.replace(
    PROMISE,
    events=EventRule(agreement=Agreement(edges=(), exits=(500,), differ=(20,), at_most=0.06)),
    calibration={"promised_loss": 0.005, "event_promised_loss": 0.02},
)


def mixed(of_frames: int, of_events: int) -> Audits:
    """200 exits that are frames, then 800 that are events, one in ten audited, and so many that differ."""
    counts = (
        AuditCounts(0.1, 200, 20, 20, differ=of_frames, open=of_frames),
        AuditCounts(OTHERS, 50, events=True),
        AuditCounts(0.1, 800, 80, 80, differ=of_events, open=of_events, events=True),
    )
    found = [
        Difference(f"{n:032x}", 10 * (n + 1), 0.1, NOON + timedelta(minutes=n), "fox", "deer", None, None)
        for n in range(of_frames)
    ] + [
        Difference(f"{n:032x}", 210 + 10 * n, 0.1, NOON, "fox", "deer", None, None, 10 + 10 * n, True)
        for n in range(of_events)
    ]
    return Audits(counts, (), tuple(found))


def test_frames_and_events_count_one_each_and_have_promises_of_their_own() -> None:
    evidence = weigh(mixed(0, 4), BOTH)
    assert (evidence.exits, evidence.events, evidence.drawn, evidence.unpromised) == (1000, 800, 100, 0)
    assert evidence.exit_share == pytest.approx(1000 / 1050)
    assert evidence.differs is not None and evidence.differs.share == pytest.approx(0.8 * 4 / 80)
    assert evidence.promised == pytest.approx(0.2 * 0.01 + 0.8 * 0.06) and evidence.promised_loss == 0.02
    assert not evidence.broken and "1000 exits (800 of them events)" in evidence.sentence()
    few = weigh(mixed(0, 14), BOTH)  # 17.5% of the events, as against 6%
    assert few.broken and weigh(mixed(14, 0), BOTH).broken


def test_exits_of_which_nothing_is_promised_do_not_play() -> None:
    evidence = weigh(mixed(0, 14), PROMISE)
    assert not evidence.broken and evidence.promised == 0.01 and evidence.unpromised == 800
    assert "at most 1.00% was promised of 200 exits, and nothing of the others" in evidence.sentence()
    events_alone = msgspec.structs.replace(BOTH, agreement=None)
    assert weigh(mixed(14, 0), events_alone).unpromised == 200 and not weigh(mixed(14, 0), events_alone).broken
    assert weigh(mixed(0, 14), events_alone).broken
    assert "promises nothing" in weigh(mixed(1, 1), Policy()).sentence()
