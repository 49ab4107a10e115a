"""What is kept of an event."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from event_parts import LABELS
from store_parts import record

from edge_sdk.model.policy import Decision
from edge_sdk.pipeline.audit import WORTH, Draw
from edge_sdk.pipeline.event_case import EventCase
from edge_sdk.types import Event, Prediction, Reason

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
MEAN = np.array([0.1, 0.8, 0.1], np.float32)


def case(reason: Reason, draw: Draw | None) -> EventCase:
    event = Event("e" * 32, "cam", NOON, NOON, 3, "mammal", 0.9, "a" * 32, False, reason=reason, revision=0)
    decision = Decision(reason is Reason.CONFIDENT, reason, 0.25)
    return EventCase(record("a" * 32, final=True), Prediction(LABELS, MEAN), event, MEAN, decision, draw)


@pytest.mark.parametrize(
    ("reason", "draw", "worth"), [(Reason.UNSURE, None, 0.25), (Reason.AUDIT, Draw(0.02, True), WORTH)]
)
def test_the_frame_that_travels_carries_the_events_class_and_draw(
    reason: Reason, draw: Draw | None, worth: float
) -> None:
    one = case(reason, draw)
    said = one.travelling(LABELS)
    assert (said.answer.reason, said.answer.final, said.answer.label) == (reason, False, "fox")
    assert (said.event_class, said.gain, one.worth) == ("deer", 0.25, worth)
    assert (said.audit, said.audit_chance) == ((False, None) if draw is None else (True, 0.02))


def test_another_draw_is_news() -> None:
    one = case(Reason.CONFIDENT, Draw(0.02, False))
    assert (one.is_drawn, one.audit_chance) == (False, 0.02)
    assert one.news == case(Reason.CONFIDENT, Draw(0.02, False)).news
    assert one.news != case(Reason.CONFIDENT, Draw(0.04, False)).news
    assert one.news != replace(one, event=replace(one.event, best_frame_id="b" * 32)).news
