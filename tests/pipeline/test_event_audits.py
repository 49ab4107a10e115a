"""Audits of events that are answered as a whole: the draw, what travels, kills, and what the evidence counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import msgspec
import numpy as np
import pytest
from event_parts import (
    AS_A_WHOLE,
    DAWN,
    LABELS,
    NOTHING,
    SURE,
    UNSURE,
    bundle_in,
    classifier,
    files,
    frame,
    killed,
    says_fox,
    told_until_killed,
    with_rule,
)

from edge_sdk import Answer, EdgeClassifier, Origin, Preferences, Reason
from edge_sdk.link.transport import Refusal, Reply, ServerInfo
from edge_sdk.model.agreement import Agreement
from edge_sdk.model.evidence import stratified
from edge_sdk.model.policy import Policy, event_policy
from edge_sdk.pipeline.audit import FILE, AuditDraw, Draw
from edge_sdk.store.audits import OTHERS, AuditCounts
from edge_sdk.store.schema import State
from edge_sdk.store.spool import SpoolItem
from edge_sdk.testing import FakeClock, FakeTransport
from edge_sdk.testing.server import ScriptedServer, answer

ALL, SELDOM = Preferences(audit=1.0), Preferences(audit=1e-9)
FOX_LIKE = (0.02, 0.03, 0.95)


def visit(edge: EdgeClassifier, rows: Sequence[Sequence[float]], start: float = 0.0) -> list[Answer]:
    """One event; it is over when this returns."""
    said = [edge.classify(frame(chances, start + second)) for second, chances in enumerate(rows)]
    edge._walk.end_events()
    return said


def test_a_sure_event_that_is_drawn_is_sent_and_the_journal_has_both_words(tmp_path: Path) -> None:
    heard: list[Answer] = []
    with (
        ScriptedServer(lambda request, _: answer(request, "fox"), labels=LABELS) as server,
        classifier(tmp_path, cloud=server.target, preferences=ALL) as edge,
    ):
        edge.listen(heard.append)
        said = visit(edge, [NOTHING, SURE, (0.01, 0.96, 0.03), SURE])
        events = list(edge.events())
        while not events[-1].final:
            events += edge.events(wait_s=1)
        assert [(one.label, one.reason, one.origin, one.final) for one in (events[0], events[-1])] == [
            ("deer", Reason.AUDIT, Origin.DEVICE, False),
            ("fox", Reason.CLOUD, Origin.CLOUD, True),
        ]
        (late,) = edge.late_answers(wait_s=60)
        assert (late.frame_id, late.event) == (said[2].frame_id, events[-1])
        (entry,) = edge.journal.events()
        assert (entry.device_label, entry.event.label, entry.state) == ("deer", "fox", State.ANSWERED)
        assert entry.audit and entry.audit_chance == 1.0
        stands = edge.journal.entry(said[2].frame_id)
        assert stands is not None and stands.cloud is not None
        assert (stands.audit, stands.audit_chance, stands.event_class) == (True, 1.0, "deer")
        assert (stands.device.reason, stands.cloud.label) == (Reason.AUDIT, "fox")
        others = [one for one in edge.journal.query() if one.answer.frame_id != said[2].frame_id]
        assert {(one.audit, one.audit_chance, one.event_class) for one in others} == {(False, None, None)}
        usage = edge.usage
        assert (usage.frames, usage.exits, usage.offloads, usage.events, usage.events_offloaded) == (4, 4, 1, 1, 0)
        assert usage.event_exit_ratio == usage.exit_ratio == 1.0
        evidence = edge.evidence()
    assert (evidence.exits, evidence.events, evidence.drawn, evidence.answered) == (1, 1, 1, 1)
    assert evidence.differs is not None and evidence.differs.share == 1.0
    words = [(one.origin, one.reason) for one in heard if one.event is not None and one.reason is not Reason.EVENT]
    assert words == [(Origin.DEVICE, Reason.AUDIT), (Origin.CLOUD, Reason.CLOUD)]


def test_who_waits_for_an_answer_does_not_wait_for_that_of_an_audit(tmp_path: Path) -> None:
    settings = replace(AS_A_WHOLE, gap_s=0.05)
    with classifier(tmp_path, events=settings, preferences=ALL, cloud="127.0.0.1:1") as edge:
        said = edge.classify(frame(SURE, start=datetime.now(UTC)), wait_s=60)
        assert (said.label, said.final, said.event is not None and said.event.reason) == ("deer", False, Reason.AUDIT)


def test_chances_of_all_decisions_are_written_down_and_counted_one_each(tmp_path: Path) -> None:
    wants = replace(SELDOM, never_upload=("fox",), private_above=0.5)
    with classifier(tmp_path, preferences=wants) as edge:
        sure = visit(edge, [SURE, SURE, SURE])
        visit(edge, [UNSURE, UNSURE], 100)
        private = visit(edge, [FOX_LIKE] * 4, 200)
        alone = edge._walk.answer(frame(SURE, 300), "heartbeat")
        (one, two, three) = edge.journal.events()
        assert one.audit_chance is not None and 0 < one.audit_chance < 1e-8 and not one.audit
        assert (two.audit_chance, three.audit_chance) == (None, 0.0)
        entries = {entry.answer.frame_id: entry for entry in edge.journal.query()}
        marked = {name for name, entry in entries.items() if entry.event_class is not None}
        assert marked == {one.event.best_frame_id, two.event.best_frame_id, three.event.best_frame_id}
        assert entries[one.event.best_frame_id].audit_chance == one.audit_chance
        assert one.event.best_frame_id in {said.frame_id for said in sure}
        assert three.event.best_frame_id in {said.frame_id for said in private}
        assert entries[alone.frame_id].audit_chance == one.audit_chance
        found = edge.journal.audits(edge._parts.version)
    assert found.counts == (
        AuditCounts(one.audit_chance, 1),
        AuditCounts(OTHERS, 1, events=True),
        AuditCounts(0.0, 1, events=True),
        AuditCounts(one.audit_chance, 1, events=True),
    )
    assert found.covered == (found.counts[0], found.counts[3])


def test_frames_that_belong_to_no_event_are_drawn_by_themselves(tmp_path: Path) -> None:
    with classifier(tmp_path, preferences=ALL) as edge:
        alone = edge._walk.answer(frame(SURE), "heartbeat")
        visit(edge, [SURE, SURE], 60)
        evidence = edge.evidence()
    assert (alone.reason, alone.final, alone.event) == (Reason.AUDIT, False, None)
    assert (evidence.exits, evidence.events, evidence.drawn, evidence.waiting) == (2, 1, 2, 2)
    assert "2 exits (1 of them events)" in evidence.sentence()


def test_of_frames_from_which_the_gate_learns_one_is_drawn(tmp_path: Path) -> None:
    with classifier(tmp_path, preferences=ALL) as edge:
        said = [edge._walk.answer(frame(SURE, 0.5 * number), "learning") for number in range(6)]
        said += [edge._walk.answer(frame(SURE, 30), "heartbeat"), edge._walk.answer(frame(SURE, 3, "b"), "scene")]
        assert [one.reason is Reason.AUDIT for one in said] == [True, *[False] * 5, True, True]
        assert edge.evidence().exits == edge.evidence().drawn == 3


def test_chances_are_those_of_the_rule_of_events(tmp_path: Path) -> None:
    of_events = Agreement(edges=(0.9,), exits=(100, 100), differ=(40, 0), at_most=0.3)
    of_frames = Agreement(edges=(), exits=(100,), differ=(5,), at_most=0.1)
    policy = with_rule(threshold=0.5, best=1, agreement=of_events)
    bundle = bundle_in(tmp_path, msgspec.structs.replace(policy, agreement=of_frames))
    with classifier(tmp_path, bundle=bundle, preferences=Preferences(audit=0.1)) as edge:
        key = (edge.state_dir / FILE).read_bytes()
        for number, chances in enumerate([(0.1, 0.7, 0.2), SURE]):
            visit(edge, [chances], 100 * number)
        edge._walk.answer(frame(SURE, 300), "heartbeat")
        low, high = (entry.audit_chance for entry in edge.journal.events())
        assert low is not None and high is not None and low > 0.1 > high
        drawn = [one.audit for one in edge.journal.events()]
        draw = AuditDraw(event_policy(policy), 0.1, key)  # whoever has the key can repeat it
        expected = [draw.draw(one.event.event_id, one.event.confidence) for one in edge.journal.events()]
        assert drawn == [one is not None and one.drawn for one in expected]
        (alone,) = [one for one in edge.journal.query() if not one.event]
        assert alone.audit_chance == pytest.approx(0.1)
        evidence = edge.evidence()
    assert evidence.promised == pytest.approx((2 * 0.3 + 0.1) / 3) and evidence.unpromised == 0


def test_an_audit_that_has_no_room_counts_as_one_without_an_answer(tmp_path: Path) -> None:
    with classifier(tmp_path, preferences=ALL, spool_bytes=10) as edge:
        visit(edge, [SURE, SURE])
        (event,) = edge.events()
        assert (event.final, event.reason, event.label) == (True, Reason.EVICTED, "deer")
        evidence = edge.evidence()
        assert (evidence.exits, evidence.drawn, evidence.answered, evidence.waiting) == (1, 1, 0, 0)
        assert edge.usage.exits == 2 and edge.usage.offloads == 0


def test_an_audit_that_is_refused_leaves_the_devices_word_and_counts_as_lost(tmp_path: Path) -> None:
    def refuses(item: SpoolItem, server: ServerInfo) -> Refusal:
        return Refusal(item.frame_id, "no such picture", False, False)

    with classifier(tmp_path, preferences=ALL, cloud="localhost:1", transport=FakeTransport(LABELS, refuses)) as edge:
        visit(edge, [SURE, SURE])
        events = list(edge.events())
        while not events[-1].final:
            events += edge.events(wait_s=1)
        assert (events[-1].label, events[-1].reason, events[-1].origin) == ("deer", Reason.REFUSED, Origin.DEVICE)
        evidence = edge.evidence()
    assert (evidence.exits, evidence.drawn, evidence.answered, evidence.waiting) == (1, 1, 0, 0)


def test_an_event_that_is_decided_early_is_drawn_then_and_once(tmp_path: Path) -> None:
    clock = FakeClock()
    start = datetime.fromtimestamp(clock.wall_s(), UTC)
    with classifier(tmp_path, preferences=ALL, events=replace(AS_A_WHOLE, within_s=4), clock=clock) as edge:
        edge.classify(frame(SURE, 0, start=start))
        clock.pass_s(4)
        (event,) = edge.events()
        assert (event.reason, event.final, event.stands, edge.waiting) == (Reason.AUDIT, False, True, 1)
        said = edge.classify(frame(UNSURE, 5, start=start))
        assert said.event is not None and said.event.reason is Reason.AUDIT
        assert edge.journal.flush() and not files(tmp_path, "pending")
        clock.pass_s(11)
        (ended,) = edge.events()
        assert (ended.frames, ended.revision, ended.reason) == (2, 2, Reason.AUDIT)
        evidence, usage = edge.evidence(), edge.usage
    assert (evidence.exits, evidence.events, evidence.drawn, evidence.waiting) == (1, 1, 1, 1)
    assert (usage.frames, usage.exits, usage.offloads, usage.events, usage.events_offloaded) == (2, 2, 1, 1, 0)


@pytest.mark.parametrize("never", ["fox", "empty"])
def test_a_private_event_is_never_drawn_by_its_mean_or_by_its_best_frame(tmp_path: Path, never: str) -> None:
    wants = replace(ALL, never_upload=(never,), private_above=0.09)
    rows = [(0.01, 0.89, 0.1), SURE, SURE] if never == "fox" else [(0.1, 0.89, 0.01)] * 2
    with classifier(tmp_path, preferences=wants, threshold=0.8) as edge:
        visit(edge, rows)
        (event,) = edge.events()
        (entry,) = edge.journal.events()
    assert (event.final, event.reason) == (True, Reason.CONFIDENT)
    assert (entry.audit, entry.audit_chance) == (False, 0.0)
    assert not files(tmp_path, "frames") and not files(tmp_path, "pending")


def test_the_picture_of_an_event_that_would_be_drawn_lies_ready(tmp_path: Path) -> None:
    with classifier(tmp_path, preferences=ALL, events=replace(AS_A_WHOLE, best=1)) as edge:
        first = edge.classify(frame((0.03, 0.94, 0.03), 0))
        assert files(tmp_path, "pending") == {first.frame_id}
        second = edge.classify(frame(SURE, 1))
        assert files(tmp_path, "pending") == {second.frame_id}
        edge.reconfigure(preferences=Preferences())
        assert not files(tmp_path, "pending")
        edge.reconfigure(preferences=ALL)
        assert files(tmp_path, "pending") == {second.frame_id}
    assert files(tmp_path, "frames") == {second.frame_id} and not files(tmp_path, "pending")


@pytest.mark.parametrize("flushed", [False, True])
@pytest.mark.parametrize("rows", [[SURE, SURE], [UNSURE, (0.4, 0.55, 0.05), (0.4, 0.55, 0.05)]])
def test_an_audit_that_a_kill_leaves_open_goes_to_the_cloud_at_the_next_start(
    tmp_path: Path, flushed: bool, rows: list[tuple[float, ...]]
) -> None:
    bundle = bundle_in(tmp_path, with_rule(threshold=0.45, best=3))
    with classifier(tmp_path, bundle=bundle, preferences=ALL) as edge:
        said = [edge.classify(frame(chances, second)) for second, chances in enumerate(rows)]
        if flushed:
            edge.journal.flush()
        left = killed(tmp_path)
    transport = FakeTransport(LABELS, says_fox)
    with classifier(left, bundle=bundle, cloud="localhost:1", transport=transport, preferences=ALL) as edge:
        events = list(edge.events(wait_s=20))
        while not events:
            events += edge.events(wait_s=1)
        (entry,) = edge.journal.events()
        evidence = edge.evidence()
    (item,) = transport.sent
    assert item.event == said[0].frame_id and entry.state is State.ANSWERED and entry.event.label == "fox"
    assert (entry.audit, entry.audit_chance) == (True, 1.0)
    assert (evidence.exits, evidence.events, evidence.drawn, evidence.answered) == (1, 1, 1, 1)
    assert evidence.differs is not None and evidence.differs.share == 1.0


@pytest.mark.parametrize("flushed", [False, True])
def test_a_kill_just_after_an_audit_was_decided_loses_nothing(tmp_path: Path, flushed: bool) -> None:
    bundle = bundle_in(tmp_path)
    with classifier(tmp_path, bundle=bundle, preferences=ALL) as edge:
        edge.classify(frame(SURE))
        edge.journal.flush()
        edge._walk.end_events()
        if flushed:
            edge.journal.flush()
        left = killed(tmp_path)
    with classifier(left, bundle=bundle, preferences=ALL) as edge:
        assert edge.waiting == 1
        (entry,) = edge.journal.events()
        assert (entry.state, entry.event.reason, entry.event.final) == (State.WAITING, Reason.AUDIT, False)
        assert not files(left, "pending")
        evidence = edge.evidence()
    assert (evidence.exits, evidence.drawn, evidence.waiting) == (1, 1, 1)


def test_an_event_that_was_not_drawn_counts_though_a_kill_leaves_it_open(tmp_path: Path) -> None:
    bundle = bundle_in(tmp_path)
    with classifier(tmp_path, bundle=bundle, preferences=SELDOM) as edge:
        visit(edge, [SURE])
        for second in range(3):
            edge.classify(frame(SURE, 100 + second))
        edge.journal.flush()
        left = killed(tmp_path)
    with classifier(left, bundle=bundle, preferences=SELDOM) as edge:
        evidence = edge.evidence()
        assert [one.event.final for one in edge.journal.events()] == [True, True]
    assert (evidence.exits, evidence.events, evidence.drawn) == (2, 2, 0)


def test_counts_survive_a_table_that_is_lost(tmp_path: Path) -> None:
    bundle = bundle_in(tmp_path)
    with classifier(tmp_path, bundle=bundle, preferences=ALL) as edge:
        for number in range(3):
            visit(edge, [SURE, SURE], 100 * number)
    table = tmp_path / "state" / "state.db"
    table.write_bytes(bytes(100) + table.read_bytes()[100:])
    with classifier(tmp_path, bundle=bundle, preferences=ALL) as edge:
        assert {(one.audit, one.event.reason) for one in edge.journal.events()} == {(True, Reason.AUDIT)}
        evidence = edge.evidence()
    assert (evidence.exits, evidence.events, evidence.drawn, evidence.waiting) == (3, 3, 3, 3)


def test_no_audit_is_lost_by_sigkill_and_each_counts_once(tmp_path: Path) -> None:
    bundle = bundle_in(tmp_path)
    told = set[str]()
    for start, lines in ((0, 1), (1000, 7), (2000, 23)):
        told |= told_until_killed(tmp_path, SURE, start=start, lines=lines, audit=1.0)
        with classifier(tmp_path, bundle=bundle, preferences=ALL) as edge:
            rows = {one.event.event_id: one for one in edge.journal.events()}
            assert edge.waiting == len(rows) and told <= set(rows)
            assert all(one.audit and one.event.reason is Reason.AUDIT for one in rows.values())
            evidence = edge.evidence()
            assert (evidence.exits, evidence.events, evidence.drawn) == (len(rows),) * 3


WORLD = (((0.2, 0.7, 0.1), "fox"), ((0.2, 0.7, 0.1), "deer"), (SURE, "deer"), (SURE, "fox"))
CHANCES = (0.6, 0.6, 0.3, 0.3)


class Scripted(AuditDraw):
    """A draw that a test decides, event by event."""

    def __init__(self, draws: Sequence[bool]) -> None:
        super().__init__(Policy(), 0.5, bytes(32))
        self._coming = zip(CHANCES, draws, strict=True)
        self._known: dict[str, Draw] = {}

    def draw(self, unit_id: str, confidence: float, visit: str = "", *, near: bool = False) -> Draw:
        if unit_id not in self._known:
            self._known[unit_id] = Draw(*next(self._coming))
        return self._known[unit_id]


def says_as_the_world(item: SpoolItem, server: ServerInfo) -> Reply:
    label = WORLD[(item.captured_at - DAWN).seconds // 100][1]
    return Reply(item.frame_id, label, 0.9, tuple(0.9 * (one == label) for one in LABELS), server.macs, 64, server)


def test_the_estimate_is_without_bias_over_all_draws_of_events(tmp_path: Path) -> None:
    """The mean over all draws, each with its probability, of what desk, store and evidence make of them."""
    bundle, total, mean, sums = bundle_in(tmp_path), 0.0, 0.0, 0.0
    for number, draws in enumerate(product([False, True], repeat=len(WORLD))):
        transport = FakeTransport(LABELS, says_as_the_world)
        folder = tmp_path / str(number)
        with classifier(folder, bundle=bundle, cloud="localhost:1", transport=transport, threshold=0.5) as edge:
            edge._parts.desk.audits = Scripted(draws)
            for place, (chances, _) in enumerate(WORLD):
                visit(edge, [chances] * 2, 100 * place)
            while edge.waiting:
                list(edge.late_answers(wait_s=1))
            counts = edge.journal.audits(edge._parts.version).counts
        assert [(one.frames, one.events) for one in counts] == [(2, True), (2, True)]
        assert sum(one.answered for one in counts) == sum(draws)
        weight = float(np.prod([chance if drawn else 1 - chance for chance, drawn in zip(CHANCES, draws, strict=True)]))
        sums += weight * sum(one.differ / one.chance for one in counts)
        if all(one.drawn for one in counts):
            share = stratified(counts, lambda one: one.differ, lambda one: one.answered)
            assert share is not None
            total, mean = total + weight, mean + weight * share
    assert sums == pytest.approx(2.0)
    assert mean / total == pytest.approx(0.5)
