"""The rule of events."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.calibrate_events import calibrate_events
from edge_sdk.workbench.calibration import Rule
from edge_sdk.workbench.event_records import EventRecords, gather_events

LABELS = ("deer", "empty", "fox")


def visits(places: int = 200, each: int = 3, *, little: float = 1.0, big: float = 2.2) -> EventRecords:
    """Events of four frames; the larger a model's strength, the more often it is right."""
    rng = np.random.default_rng(0)
    count = places * each * 4
    truths = np.repeat(rng.integers(0, 3, places * each), 4)
    shared = np.repeat(rng.normal(0, 0.8, (places * each, 3)), 4, axis=0)

    def said(strength: float) -> NDArray[np.float64]:
        logits = shared + rng.normal(0, 0.8, (count, 3)) + strength * 1.5 * np.eye(3)[truths]
        weights = np.exp(logits)
        return weights / weights.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]

    return gather_events(
        LABELS,
        events=np.arange(count) // 4 * 4,
        ids=np.arange(count).astype(np.str_),
        places=np.char.add("place ", (np.arange(count) // (4 * each)).astype(np.str_)),
        truths=truths,
        little=said(little),
        sent=said(big),
        upload_bytes=np.full(count, 5000),
    )


def test_a_promise_is_kept_on_other_places() -> None:
    found = calibrate_events(visits(), Rule(eps=0.1))
    assert found.guaranteed and found.promise == 0.1 and found.places == 200 and found.events == 600
    assert found.little_accuracy < found.accuracy and found.accuracy > found.big_accuracy - 0.1
    assert 0.05 < found.exit_ratio < 1 and 1 <= found.rule.best <= 5 and 0 <= found.rule.ensemble <= 0.5
    assert found.bytes_per_event == pytest.approx(5000 * (1 - found.exit_ratio))
    assert "with 95% confidence accuracy on new places is at most 10.00 points below the big model" in found.sentence()
    assert (np.diff(found.curve_exits) >= 0).all()


def test_a_rule_has_how_often_exits_are_answered_as_by_the_big_model() -> None:
    events = visits()
    found = calibrate_events(events, Rule(offload_ratio=0.3))
    known = found.rule.agreement
    assert known is not None
    mean = events.decided_on(found.rule)
    exits = mean.max(axis=1) >= found.rule.threshold
    differ = mean.argmax(axis=1) != events.sent[:, 0].argmax(axis=1)
    assert 0 < sum(known.exits) < exits.sum()  # the evaluation part alone
    share = sum(known.differ) / sum(known.exits)
    assert share == pytest.approx(differ[exits].mean(), abs=0.05) and share < known.at_most < 0.5
    assert len(known.exits) == 4 and known.edges[0] > found.rule.threshold


def test_plain_rules_tell_what_they_can_promise() -> None:
    found = calibrate_events(visits(), Rule(offload_ratio=0.3), best=3, ensemble=0.3)
    assert not found.guaranteed and found.exit_ratio == pytest.approx(0.7, abs=0.08)
    assert found.rule.best == 3 and found.rule.ensemble == 0.3 and -1 < found.promise < 1
    strict = calibrate_events(visits(), Rule(drop=0.0))
    assert strict.accuracy > strict.big_accuracy - 0.06


def test_what_cannot_be_promised_or_asked_is_told() -> None:
    with pytest.raises(WorkbenchError, match=r"of \d+ places cannot promise.*--eps 0\.\d+"):
        calibrate_events(visits(60), Rule(eps=-0.2))
    with pytest.raises(WorkbenchError, match="expected a rule of events: eps, drop, offload_ratio; got macs"):
        calibrate_events(visits(60), Rule(macs=1e6))
    with pytest.raises(WorkbenchError, match="at least 40 labelled events; got 30"):
        calibrate_events(visits(10), Rule(eps=0.1))
