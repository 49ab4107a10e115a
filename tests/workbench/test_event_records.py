"""Events put together from frames."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.policy import EventRule, Policy
from edge_sdk.pipeline.events import Events, EventSettings
from edge_sdk.types import Frame, Prediction
from edge_sdk.workbench.event_records import (
    EventRecords,
    emptiness,
    event_of_frames,
    events_from_records,
    gather_events,
    group_frames,
    has_visits,
    spaced_frames,
    tempered,
)
from edge_sdk.workbench.records import Records, RecordsInfo, from_logits

LABELS = ("deer", "empty", "fox")
PICTURE = np.zeros((2, 2, 3), np.uint8)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(-15, 60), st.booleans()), max_size=40))
def test_frames_are_grouped_as_the_device_does(steps: list[tuple[str, int, bool]]) -> None:
    said, events, now = Prediction(LABELS, np.full(3, 1 / 3, np.float32)), Events(LABELS, EventSettings()), 0
    places, times, theirs, rows = [], [], [], {"": -1}
    for row, (place, step, moved) in enumerate(steps):
        now += step
        frame = Frame(PICTURE, datetime.fromtimestamp(1e9 + now, UTC), f"camera://{place}")
        rows[frame.frame_id] = row
        places.append(place)
        times.append(1e9 + now if moved else np.nan)
        if moved:
            events.over(frame)
        theirs.append(rows[events.join(frame, said).event_id if moved else ""])
    assert group_frames(places, np.array(times)).tolist() == theirs


def test_a_burst_ends_after_its_frames() -> None:
    times = np.array([0.0, 1, 2, 3, 40, 41])
    assert group_frames(["a"] * 6, times, most=3).tolist() == [0, 0, 0, 3, 4, 4]


def gathered() -> EventRecords:
    little = np.array([[0.1, 0.8, 0.1], [0.7, 0.1, 0.2], [0.5, 0.3, 0.2], [0.2, 0.6, 0.2], [0.1, 0.9, 0.0]])
    sent = np.array([[0.0, 0.9, 0.1], [0.1, 0.2, 0.7], [0.2, 0.1, 0.7], [0.1, 0.8, 0.1], [0.0, 1.0, 0.0]])
    return gather_events(
        LABELS,
        events=np.array([0, 0, 0, 3, -1]),
        ids=np.array(list("pqrst")),
        places=np.array(["x", "x", "x", "y", "y"]),
        truths=np.array([1, 2, 2, 1, 0]),
        little=little,
        sent=sent,
        upload_bytes=np.array([10, 20, 30, 40, 50]),
    )


def test_an_event_has_its_least_empty_frames_first_and_one_truth() -> None:
    events = gathered()
    assert len(events) == 2 and events.ids.tolist() == ["p", "s"] and events.counts.tolist() == [3, 1]
    assert events.truths.tolist() == [2, 1]  # two of three frames show the fox
    assert events.upload_bytes[0, :3].tolist() == [20, 30, 10]
    assert events.means(2)[0] == pytest.approx([0.6, 0.2, 0.2]) and events.means(5)[1] == pytest.approx([0.2, 0.6, 0.2])
    assert events.reference_answers(1).tolist() == [2, 1]  # the big model finds its own least empty frame
    rule = EventRule(threshold=0.5, best=2, ensemble=0.5)
    assert events.final(events.decided_on(rule), 0.5)[0] == pytest.approx([0.35, 0.2, 0.45])
    assert events.part(np.array([False, True])).ids.tolist() == ["s"]


def test_temperature_and_labels_without_a_word_for_nothing() -> None:
    assert tempered(np.array([[0.8, 0.2]]), 0.5)[0] == pytest.approx([0.64 / 0.68, 0.04 / 0.68])
    assert emptiness(np.array([[0.7, 0.3]]), ("deer", "fox")) == pytest.approx([0.3])
    assert emptiness(np.array([[0.7, 0.3]]), ("deer", "no_animal")) == pytest.approx([0.3])


def test_frames_without_events_are_refused() -> None:
    none = np.array([-1])
    with pytest.raises(WorkbenchError, match="capture times"):
        gather_events(
            LABELS,
            events=none,
            ids=np.array(["a"]),
            places=np.array(["x"]),
            truths=none,
            little=np.ones((1, 3)) / 3,
            sent=np.ones((1, 3)) / 3,
        )


def _records(model: str, times: list[float], places: list[str] | None = None) -> Records:
    count = len(times)
    logits = np.random.default_rng(0).normal(0, 2, (count, 3)).astype(np.float32)
    names = [f"{row}" for row in range(count)]
    return from_logits(
        RecordsInfo(model=model, labels=LABELS), names, [1] * count, logits, places=places or ["x"] * count, times=times
    )


def test_records_of_folders_are_grouped_by_place_and_time_in_any_order() -> None:
    # A burst whose frames lie in two class folders, so not in the order of time.
    times, places = [3.0, 100.0, 1.0, np.nan, 2.0, 1.0], ["x", "x", "x", "x", "x", "y"]
    records = _records("m", times, places)
    assert event_of_frames(records).tolist() == [2, 1, 2, -1, 2, 5]
    assert has_visits(records) and not has_visits(_records("m", [1.0, 100.0]))
    events = events_from_records(records, _records("big", times, places), Policy())
    assert sorted(events.counts.tolist()) == [1, 1, 3] and set(events.places.tolist()) == {"x", "y"}
    with pytest.raises(WorkbenchError, match="expected records of visits"):
        events_from_records(_records("m", [np.nan]), _records("big", [np.nan]), Policy())


def test_of_each_visit_frames_apart_are_kept() -> None:
    records = _records("m", [*(float(second) for second in range(14)), 100.0, np.nan])
    assert np.flatnonzero(spaced_frames(records)).tolist() == [0, 6, 12, 14, 15]
    assert spaced_frames(records, 7).sum() == 7 and spaced_frames(records, 10).all()
