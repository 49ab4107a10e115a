"""Which alerts leave: rates, quiet hours, beginnings and ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from alert_parts import answer

from edge_sdk import AlertRule
from edge_sdk.alerts.alert import Kind, Phase
from edge_sdk.alerts.judge import Condition, Judge
from edge_sdk.errors import ConfigError
from edge_sdk.testing import FakeClock
from edge_sdk.types import Event, Reason

OFFLINE = Condition(Kind.FAULT, "link", "link: offline")
SPENT = Condition(Kind.BUDGET, "5MB/day", "budget: 95% of 5MB/day is spent")


def judge(*rules: AlertRule, clock: FakeClock | None = None, **settings: object) -> Judge:
    return Judge(rules, device="cam-1", clock=clock or FakeClock(), zone=UTC, **settings)  # type: ignore[arg-type]


def wall(*numbers: int) -> float:
    return datetime(*numbers, tzinfo=UTC).timestamp()  # type: ignore[misc,arg-type]


def test_each_rule_that_names_an_answer_gives_an_alert() -> None:
    rules = judge(AlertRule(("fox",)), AlertRule(name="all"), AlertRule(("deer",)))
    assert [one.rule for one in rules.answer(answer("fox"))] == ["fox", "all"]
    assert rules.last is not None
    assert rules.last.label == "fox"


def test_a_rate_holds_in_every_window() -> None:
    clock = FakeClock()
    rules = judge(AlertRule(at_most="2/h"), clock=clock)
    sent = []
    for minute in range(0, 130, 10):
        if rules.answer(answer()):
            sent.append(minute)
        clock.pass_s(600)
    assert sent == [0, 10, 60, 70, 120]
    assert rules.held == 8


def test_a_clock_that_is_set_frees_nothing() -> None:
    clock = FakeClock()
    rules = judge(AlertRule(at_most="1/h"), clock=clock)
    assert rules.answer(answer())
    clock.set_wall_s(clock.wall_s() + 86_400)
    assert not rules.answer(answer())


def test_rates_are_of_a_rule_each() -> None:
    rules = judge(AlertRule(("fox",), at_most="1/h"), AlertRule(("deer",), at_most="1/h"))
    found = [rules.answer(answer(label)) for label in ("fox", "fox", "deer", "deer")]
    assert [len(one) for one in found] == [1, 0, 1, 0]


def test_what_was_sent_before_the_start_counts() -> None:
    clock = FakeClock()
    rules = judge(AlertRule(at_most="2/h"), clock=clock, history={"class": [3000.0, 5000.0, 100.0]})
    assert not rules.answer(answer())
    clock.pass_s(601)
    assert rules.answer(answer())
    assert not rules.answer(answer())


def test_in_quiet_hours_no_class_is_told() -> None:
    clock = FakeClock(wall(2027, 1, 15, 21, 59))
    rules = judge(AlertRule(quiet="22:00-06:00", at_most="2/day"), clock=clock)
    assert rules.answer(answer())
    clock.pass_s(60)
    assert not rules.answer(answer())
    clock.pass_s(8 * 3600)
    assert rules.answer(answer())  # what was not sent does not count against the rate


def test_what_lasts_is_told_at_its_beginning_and_end_once() -> None:
    rules = judge(AlertRule(kinds=(Kind.FAULT,)))
    phases = [[one.phase for one in rules.conditions(now)] for now in ([], [OFFLINE], [OFFLINE, SPENT], [SPENT], [])]
    assert phases == [[], [Phase.BEGAN], [], [Phase.ENDED], []]


def test_the_end_names_what_began() -> None:
    rules = judge(AlertRule(kinds=(Kind.FAULT, Kind.BUDGET)))
    began, ended = rules.conditions([OFFLINE, SPENT]), rules.conditions([])
    assert [one.about for one in began] == [one.about for one in ended] == ["link", "5MB/day"]


def test_what_lasts_beyond_quiet_hours_is_told_after_them() -> None:
    clock = FakeClock(wall(2027, 1, 15, 23))
    rules = judge(AlertRule(kinds=(Kind.FAULT, Kind.BUDGET), quiet="22:00-06:00"), clock=clock)
    assert not rules.conditions([OFFLINE, SPENT])
    clock.pass_s(7 * 3600)
    assert [one.text for one in rules.conditions([SPENT])] == [SPENT.text]
    clock.pass_s(17 * 3600)  # 23:00: the end is held back too
    assert not rules.conditions([])
    clock.pass_s(7 * 3600)
    assert [(one.phase, one.text) for one in rules.conditions([])] == [(Phase.ENDED, f"over: {SPENT.text}")]


def test_what_comes_and_goes_is_bounded_by_the_rate() -> None:
    rules = judge(AlertRule(kinds=(Kind.FAULT,), at_most="3/h"))
    alerts = [one for now in [[OFFLINE], []] * 10 for one in rules.conditions(now)]
    assert len(alerts) == 6


def test_a_frame_that_is_told_before_its_last_word_is_not_told_again() -> None:
    rules = judge(AlertRule(provisional=True))
    first = answer("fox", final=False)
    assert rules.answer(first)
    assert not rules.answer(answer("fox", frame_id=first.frame_id))


def test_rules_need_names_that_differ() -> None:
    with pytest.raises(ConfigError, match="two are called 'fox'"):
        judge(AlertRule(("fox",)), AlertRule(("fox",), min_confidence=0.9))
    with pytest.raises(ConfigError, match="one AlertRule at least"):
        judge()
    with pytest.raises(ConfigError, match="list of AlertRule"):
        judge("fox")  # type: ignore[arg-type]


def test_an_event_that_is_answered_as_a_whole_is_told_once() -> None:
    first, last, sure = answer("fox"), answer("fox"), AlertRule(("fox",), provisional=True)
    at = first.captured_at
    event = Event("e1", "cam", at, at, 2, "fox", 0.9, first.frame_id, final=False, revision=0)
    frames = [replace(one, label="deer", final=False, reason=Reason.EVENT, event=event) for one in (first, last)]
    settled = replace(first, final=True, event=replace(event, label="fox", final=True, revision=1))
    early, late = judge(sure), judge(AlertRule(("fox",)))
    assert [len(early.answer(one)) for one in (*frames, settled)] == [1, 0, 0]
    assert [len(late.answer(one)) for one in (*frames, settled)] == [0, 0, 1]
    assert early.last is not None and early.last.label == "fox"
