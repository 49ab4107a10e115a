"""Audits: the draw, and confident frames that are sent all the same through a real server."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from classifier_parts import ALWAYS, LABELS, NEVER, frame
from store_parts import NOON

from edge_sdk import EdgeClassifier, Origin, Preferences, Reason
from edge_sdk.model.agreement import Agreement
from edge_sdk.model.policy import Histogram, Policy
from edge_sdk.pipeline.audit import FILE, AuditDraw, Stretches, audit_key
from edge_sdk.testing.server import ScriptedServer, answer
from edge_sdk.types import Answer, Frame, new_frame_id

KEY = bytes(range(32))
RARE = Policy(
    agreement=Agreement(edges=(0.9, 0.95, 0.99), exits=(100, 100, 100, 100), differ=(40, 10, 2, 0), at_most=0.2)
)


def said(draw: AuditDraw, unit_id: str, confidence: float) -> bool:
    found = draw.draw(unit_id, confidence)
    return found is not None and found.drawn


def test_the_chance_is_higher_where_the_models_differ_and_right_on_average() -> None:
    draw = AuditDraw(RARE, 0.01, KEY)
    assert list(draw.chances) == sorted(draw.chances, reverse=True)
    assert np.mean(draw.chances) == pytest.approx(0.01, rel=1e-3)
    assert min(draw.chances) >= 0.0025 * 0.999 and max(draw.chances) <= 0.04
    assert [draw.chance(one) for one in (0.2, 0.9, 0.97, 1.0)] == list(draw.chances)


def test_without_agreement_the_confidences_of_calibration_say_where_errors_are_likelier() -> None:
    edges = tuple((np.arange(10, 20) / 20).tolist())
    draw = AuditDraw(Policy(threshold=0.6, confidences=Histogram(edges, (10,) * 11)), 0.02, KEY)
    assert len(draw.chances) == 4 and draw.chances[0] > draw.chances[-1]
    assert AuditDraw(Policy(), 0.02, KEY).chances == (0.02,)
    assert AuditDraw(RARE, 1.0, KEY).chances[0] == 1.0


def test_draws_come_as_often_as_their_chance_says_and_the_same_again() -> None:
    draw, again = AuditDraw(RARE, 0.1, KEY), AuditDraw(RARE, 0.1, KEY)
    ids = [new_frame_id() for _ in range(20_000)]
    for confidence in (0.5, 0.92, 0.999):
        drawn = [said(draw, one, confidence) for one in ids]
        chance = draw.chance(confidence)
        assert abs(np.mean(drawn) - chance) < 5 * np.sqrt(chance / len(ids))
        assert drawn == [said(again, one, confidence) for one in ids]
    other = AuditDraw(RARE, 0.1, bytes(32))
    assert [said(other, one, 0.5) for one in ids] != [said(draw, one, 0.5) for one in ids]


def test_the_key_stays_with_the_state_folder_and_is_secret(tmp_path: Path) -> None:
    key = audit_key(tmp_path)
    assert audit_key(tmp_path) == key and len(key) == 32
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0
    (tmp_path / FILE).write_bytes(b"short")
    assert audit_key(tmp_path) != key


def test_a_confident_frame_that_is_drawn_is_sent_and_the_journal_has_both_words(tmp_path: Path) -> None:
    told: list[Answer] = []
    with (
        ScriptedServer(lambda request, _: answer(request, "deer"), labels=LABELS) as server,
        EdgeClassifier(
            cloud=server.target,
            state_dir=tmp_path,
            threshold=ALWAYS,
            preferences=Preferences(audit=1.0),
            on_answer=told.append,
        ) as edge,
    ):
        firsts = [edge.classify(frame(number), wait_s=300) for number in range(3)]
        assert {(one.origin, one.reason, one.final) for one in firsts} == {(Origin.DEVICE, Reason.AUDIT, False)}
        lates = list(edge.late_answers(wait_s=30))
        assert {late.frame_id for late in lates} == {one.frame_id for one in firsts}
        assert (edge.usage.exits, edge.usage.offloads, edge.usage.exit_ratio) == (3, 3, 1.0)
        entry = edge.journal.entry(firsts[0].frame_id)
        assert entry is not None and entry.cloud is not None
        assert entry.audit and entry.audit_chance == 1.0
        assert (entry.device.label, entry.cloud.label) == (firsts[0].label, "deer")
        evidence = edge.evidence()
        assert (evidence.exits, evidence.drawn, evidence.answered) == (3, 3, 3)
        differing = sum(one.label != "deer" for one in firsts)
        assert evidence.differs is not None and evidence.differs.share == pytest.approx(differing / 3)


def test_the_chance_of_a_frame_that_is_not_drawn_is_written_down_too(tmp_path: Path) -> None:
    with EdgeClassifier(state_dir=tmp_path, threshold=ALWAYS, preferences=Preferences(audit=1e-9)) as edge:
        said = edge.classify(frame())
        assert said.final and said.reason is Reason.CONFIDENT
        entry = edge.journal.entry(said.frame_id)
        assert entry is not None and not entry.audit
        assert entry.audit_chance is not None and 0 < entry.audit_chance < 1e-8
        edge.reconfigure(preferences=Preferences())
        entry = edge.journal.entry(edge.classify(frame(1)).frame_id)
        assert entry is not None and entry.audit_chance is None


def test_an_unsure_frame_and_one_that_is_private_are_never_drawn(tmp_path: Path) -> None:
    wants = Preferences(audit=1.0, never_upload=LABELS, private_above=0.5)
    with EdgeClassifier(state_dir=tmp_path, threshold=ALWAYS, preferences=wants) as edge:
        said = edge.classify(frame())
        entry = edge.journal.entry(said.frame_id)
        assert said.final and edge.waiting == 0
        assert entry is not None and (entry.audit, entry.audit_chance) == (False, 0.0)
        edge.reconfigure(threshold=NEVER, preferences=Preferences(audit=1.0))
        entry = edge.journal.entry(edge.classify(frame(1)).frame_id)
        assert entry is not None and (entry.audit, entry.audit_chance) == (False, None)


def test_an_audit_that_has_no_room_counts_as_one_without_an_answer(tmp_path: Path) -> None:
    with EdgeClassifier(
        state_dir=tmp_path, threshold=ALWAYS, preferences=Preferences(audit=1.0), spool_bytes=1
    ) as edge:
        said = edge.classify(frame())
        assert said.final and said.reason is Reason.EVICTED
        evidence = edge.evidence()
        assert (evidence.exits, evidence.drawn, evidence.answered, evidence.waiting) == (1, 1, 0, 0)
        assert evidence.differs is None


def test_of_a_visit_one_frame_is_drawn_at_most() -> None:
    draw = AuditDraw(RARE, 0.2, KEY)
    visits = [[draw.draw(new_frame_id(), 0.5, f"visit {visit}") for _ in range(30)] for visit in range(200)]
    for visit in visits:
        drawn = [one is not None and one.drawn for one in visit]
        assert sum(drawn) <= 1
        first = drawn.index(True) if any(drawn) else len(drawn)
        assert all(one is not None for one in visit[: first + 1]) and all(one is None for one in visit[first + 1 :])
    assert draw.draw(new_frame_id(), 0.5) is not None


def test_a_stretch_ends_with_a_gap_and_is_of_one_camera() -> None:
    stretches = Stretches(10.0)

    def taken(second: float, source: str = "a") -> Frame:
        return replace(frame(), captured_at=NOON + timedelta(seconds=second), source=source, frame_id=new_frame_id())

    first, other = taken(0), taken(5, "b")
    assert [stretches.of(one) for one in (first, other, taken(9), taken(19))] == [
        first.frame_id,
        other.frame_id,
        first.frame_id,
        first.frame_id,
    ]
    late = taken(30)
    assert stretches.of(late) == stretches.of(taken(31)) == late.frame_id != stretches.of(taken(14, "b"))
    for number in range(300):
        stretches.of(taken(0, f"camera {number}"))
    assert len(stretches._latest) <= 256
