"""Frames put together to events, against a slow reference, and in the life of a classifier."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk import EdgeClassifier, Event, EventSettings, Frame, Prediction
from edge_sdk.errors import ConfigError
from edge_sdk.pipeline.events import Events

DAWN = datetime(2026, 6, 1, 4, 30, tzinfo=UTC)
LABELS = ("bird", "Empty", "fox")
GREY = np.full((96, 128, 3), 90, np.uint8)


def prediction(*chances: float) -> Prediction:
    return Prediction(LABELS, np.array(chances, np.float32))


def frame(second: float, source: str = "a") -> Frame:
    return Frame(GREY, DAWN + timedelta(seconds=second), source)


def events_of(seconds: list[float], gap_s: float, longest_s: float) -> list[list[int]]:
    """Reference: indices of frames by event, of one source, in order of time."""
    found: list[list[int]] = []
    for number, second in enumerate(seconds):
        last = found[-1] if found else []
        if last and second - seconds[last[-1]] <= gap_s and second - seconds[last[0]] <= longest_s:
            last.append(number)
        else:
            found.append([number])
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=30), st.integers(0, 1000), st.integers(1, 5))
def test_events_are_those_of_a_slow_reference(steps: list[int], seed: int, best: int) -> None:
    seconds = np.cumsum(steps).astype(float).tolist()
    rng = np.random.default_rng(seed)
    chances = rng.dirichlet(np.ones(3), len(seconds)).astype(np.float32)
    events = Events(LABELS, EventSettings(gap_s=12, longest_s=50, best=best))
    frames = [frame(second) for second in seconds]
    ids = [events.join(one, Prediction(LABELS, row)) for one, row in zip(frames, chances, strict=True)]
    events.end_all()
    found = list(events.take())
    wanted = events_of(seconds, 12, 50)
    assert len(found) == len(wanted) and not list(events.take())
    for event, numbers in zip(found, wanted, strict=True):
        first, last = frames[numbers[0]], frames[numbers[-1]]
        assert {ids[number] for number in numbers} == {event.event_id} == {first.frame_id}
        assert (event.began_at, event.ended_at, event.frames) == (first.captured_at, last.captured_at, len(numbers))
        least_empty = sorted(numbers, key=lambda number: (chances[number, 1], number))[:best]
        mean = chances[least_empty].astype(float).mean(0)
        assert event.best_frame_id == frames[least_empty[0]].frame_id
        assert event.label == LABELS[int(mean.argmax())] and event.confidence == pytest.approx(mean.max())


def test_sources_have_events_of_their_own() -> None:
    events = Events(LABELS, EventSettings())
    first, second = frame(0, "a"), frame(1, "b")
    assert events.join(first, prediction(1, 0, 0)) != events.join(second, prediction(0, 0, 1))
    assert events.join(frame(2, "a"), prediction(1, 0, 0)) == first.frame_id
    events.end_all()
    assert {(event.source, event.label, event.frames) for event in events.take()} == {("a", "bird", 2), ("b", "fox", 1)}


def test_frames_that_no_movement_brought_are_in_no_event() -> None:
    events = Events(LABELS, EventSettings())
    for trigger in ("learning", "heartbeat", "scene"):
        assert events.join(frame(0), prediction(0, 1, 0), trigger) == ""
    assert events.join(frame(1), prediction(0, 1, 0), "motion") and events.join(frame(2), prediction(0, 1, 0), "hold")
    events.end_all()
    (event,) = events.take()
    assert event.frames == 2


def test_a_clock_that_is_set_back_begins_an_event() -> None:
    events = Events(LABELS, EventSettings())
    assert events.join(frame(0), prediction(1, 0, 0)) != events.join(frame(-3600), prediction(1, 0, 0))


def test_without_a_class_for_nothing_the_surest_frames_answer() -> None:
    events = Events(("bird", "fox"), EventSettings(best=1))
    for second, chance in enumerate((0.4, 0.1, 0.55)):
        events.join(frame(second), Prediction(("bird", "fox"), np.array([chance, 1 - chance], np.float32)))
    events.end_all()
    (event,) = events.take()
    assert event.label == "fox" and event.confidence == pytest.approx(0.9)


def test_events_that_nobody_takes_are_not_kept_for_ever() -> None:
    events = Events(LABELS, EventSettings(gap_s=1))
    for second in range(0, 4000, 2):
        events.join(frame(second), prediction(1, 0, 0))
    assert len(list(events.take())) == 1000


@pytest.mark.parametrize("bad", [{"gap_s": 0}, {"longest_s": float("inf")}, {"best": 0}, {"best": 1.5}])
def test_bad_settings_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="expected EventSettings"):
        EventSettings(**bad)  # type: ignore[arg-type]


def test_the_journal_has_a_frames_event_and_the_event_is_told_when_it_ends(tmp_path: Path) -> None:
    told: list[Event] = []
    with EdgeClassifier(state_dir=tmp_path, threshold=0.0, on_event=told.append) as edge:
        for second in (0, 3, 6, 60):
            edge.classify(frame(second))
            assert len(told) == (second == 60)
        ids = [entry.event for entry in edge.journal.query()]
        assert len(set(ids)) == 2 and sorted(ids.count(one) for one in set(ids)) == [1, 3]
    assert [event.frames for event in told] == [3, 1]
    assert {event.event_id for event in told} == set(ids)


def test_a_burst_of_photos_is_one_event_of_their_folder() -> None:
    events = Events(LABELS, EventSettings())
    ids = {events.join(frame(second, f"/card/DCIM/{second}.JPG"), prediction(1, 0, 0)) for second in range(3)}
    events.end_all()
    (event,) = events.take()
    assert ids == {event.event_id} and (event.source, event.frames) == ("/card/DCIM", 3)


def test_on_event_may_use_the_classifier_and_may_fail(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[int] = []

    def on_event(event: Event) -> None:
        seen.append(len([entry for entry in edge.journal.query() if entry.event == event.event_id]))
        edge.reconfigure(threshold=0.0)
        raise RuntimeError("no")

    with EdgeClassifier(state_dir=tmp_path, threshold=0.0, on_event=on_event) as edge:
        for second in (0, 3, 60):
            assert edge.classify(frame(second)).final
    assert seen == [2, 1] and caplog.text.count("on_event failed") == 2


def test_a_camera_that_ends_ends_its_event(tmp_path: Path) -> None:
    with EdgeClassifier(state_dir=tmp_path, threshold=0.0) as edge:
        assert len(list(edge.watch([frame(0), frame(1)]))) == 2
        (event,) = edge.ended_events()
        assert event.frames == 2 and event.label in edge.bundle.manifest.labels
        assert not list(edge.ended_events())
