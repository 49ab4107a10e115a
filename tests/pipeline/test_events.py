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
from edge_sdk.pipeline.events import Events, Visit
from edge_sdk.store.journal import Journal

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


def put_together(
    events: Events, frames: list[Frame], chances: list[list[float]], labels: tuple[str, ...] = LABELS
) -> tuple[list[Visit], list[str]]:
    """The events of these frames, in the order in which they end, and each frame's event."""
    ended, ids = list[Visit](), list[str]()
    for one, row in zip(frames, chances, strict=True):
        ended += events.over(one)
        ids.append(events.join(one, Prediction(labels, np.array(row, np.float32))).event_id)
    return ended + events.end(), ids


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=30),
    st.integers(0, 1000),
    st.integers(1, 5),
    st.sampled_from([1.0, 0.5, 2.0]),
)
def test_events_are_those_of_a_slow_reference(steps: list[int], seed: int, best: int, temperature: float) -> None:
    seconds = np.cumsum(steps).astype(float).tolist()
    rng = np.random.default_rng(seed)
    chances = rng.dirichlet(np.ones(3), len(seconds)).astype(np.float32)
    frames = [frame(second) for second in seconds]
    events = Events(LABELS, EventSettings(gap_s=12, longest_s=50, best=best))
    found, ids = put_together(events, frames, chances.tolist())
    wanted = events_of(seconds, 12, 50)
    assert len(found) == len(wanted) and len(events) == 0
    assert sum(visit.frames for visit in found) == len(frames)  # a partition
    for visit, numbers in zip(found, wanted, strict=True):
        first, last = frames[numbers[0]], frames[numbers[-1]]
        assert {ids[number] for number in numbers} == {visit.event_id} == {first.frame_id}
        assert (visit.began_at, visit.last_at, visit.frames) == (first.captured_at, last.captured_at, len(numbers))
        least_empty = sorted(numbers, key=lambda number: (chances[number, 1], number))[:best]
        assert [look.frame_id for look in visit.best] == [frames[number].frame_id for number in least_empty]
        mean = chances[least_empty].astype(float).mean(0) ** (1 / temperature)
        assert visit.mean(temperature) == pytest.approx(mean / mean.sum(), abs=1e-6)
        tops = [int(np.where([True, False, True], chances[number], -1).argmax()) for number in numbers]
        for other in (0, 2):
            seen = sorted(
                (chances[n, other] for n, top in zip(numbers, tops, strict=True) if top == other), reverse=True
            )
            is_there = len([one for one in seen if one >= 0.4]) >= best
            wanted_mean = [float(np.mean(seen[:best]))] if is_there else []
            also = [chance for number, chance in events.also(visit, 1, 0.4) if number == other]
            assert also == pytest.approx(wanted_mean, abs=1e-6)


def test_sources_have_events_of_their_own() -> None:
    frames = [frame(0, "a"), frame(1, "b"), frame(2, "a")]
    found, ids = put_together(Events(LABELS, EventSettings()), frames, [[1, 0, 0], [0, 0, 1], [1, 0, 0]])
    assert ids == [frames[0].frame_id, frames[1].frame_id, frames[0].frame_id]
    assert {(visit.camera, visit.frames) for visit in found} == {("a", 2), ("b", 1)}


def test_one_cameras_end_leaves_the_others_events_open() -> None:
    events = Events(LABELS, EventSettings())
    events.join(frame(0, "a"), prediction(1, 0, 0))
    events.join(frame(0, "b"), prediction(1, 0, 0))
    assert [visit.camera for visit in events.end({"a"})] == ["a"] and len(events) == 1


def test_frames_that_no_movement_brought_are_in_no_event() -> None:
    assert not any(Events.are_joined(trigger) for trigger in ("learning", "heartbeat", "scene"))
    assert all(Events.are_joined(trigger) for trigger in ("", "motion", "hold", "photo"))


def test_a_clock_that_is_set_back_begins_an_event() -> None:
    _, ids = put_together(Events(LABELS, EventSettings()), [frame(0), frame(-3600)], [[1, 0, 0], [1, 0, 0]])
    assert len(set(ids)) == 2


def test_without_a_class_for_nothing_the_surest_frames_answer() -> None:
    events = Events(("bird", "fox"), EventSettings(best=1))
    rows = [[chance, 1 - chance] for chance in (0.4, 0.1, 0.55)]
    (visit,), _ = put_together(events, [frame(second) for second in range(3)], rows, ("bird", "fox"))
    assert visit.mean() == pytest.approx([0.1, 0.9])


def test_where_no_frame_comes_live_events_end_after_the_gap_and_recorded_ones_after_a_minute() -> None:
    events = Events(LABELS, EventSettings(gap_s=10))
    assert events.due_s == float("inf")
    events.join(frame(0, "live"), prediction(1, 0, 0), 100.0, live=True)
    events.join(frame(0, "card"), prediction(1, 0, 0), 100.0)
    assert events.due_s == 110 and events.due(109.9) == []
    assert [visit.camera for visit in events.due(110)] == ["live"]
    assert events.due_s == 160 and [visit.camera for visit in events.due(160)] == ["card"]


def test_a_latency_goal_is_held_by_the_clock_of_live_frames_and_by_the_times_of_all() -> None:
    events = Events(LABELS, EventSettings(within_s=4))
    live = events.join(frame(0, "live"), prediction(1, 0, 0), 100.0, live=True)
    card = events.join(frame(0, "card"), prediction(1, 0, 0), 100.0)
    assert events.due_s == 104 and events.late(103.9) == [] and events.late(104) == [live]
    assert events.late(100, frame(3.9, "card")) == [] and events.late(100, frame(4, "card")) == [card]
    events.decided(live)
    events.join(frame(5, "live"), prediction(0, 0, 1), 105.0, live=True)
    assert events.late(110) == [] and live.frames == 2 and live.mean() == pytest.approx([1, 0, 0])


@pytest.mark.parametrize(
    "bad",
    [
        {"gap_s": 0},
        {"longest_s": float("inf")},
        {"best": 0},
        {"best": 1.5},
        {"within_s": -1},
        {"answer_per": "visit"},
    ],
)
def test_bad_settings_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="expected EventSettings"):
        EventSettings(**bad)  # type: ignore[arg-type]


def test_the_journal_has_a_frames_event_and_the_event_is_told_when_it_ends(tmp_path: Path) -> None:
    with EdgeClassifier(state_dir=tmp_path, threshold=0.0) as edge:
        told: list[Event] = []
        for second in (0, 3, 6, 60):
            edge.classify(frame(second))
            told += edge.events()
            assert len(told) == (second == 60)
        ids = [entry.event for entry in edge.journal.query()]
        assert len(set(ids)) == 2 and sorted(ids.count(one) for one in set(ids)) == [1, 3]
        assert [entry.ended for entry in edge.journal.events()] == [True, False]
        assert edge.usage.events == 1
    told += edge.events()
    assert [event.frames for event in told] == [3, 1]
    assert {event.event_id for event in told} == set(ids)
    with Journal(tmp_path) as journal:
        assert [(one.event.label, one.event.frames, one.event.final) for one in journal.events()] == [
            (event.label, event.frames, True) for event in told
        ]


def test_a_burst_of_photos_is_one_event_of_their_folder() -> None:
    frames = [frame(second, f"/card/DCIM/{second}.JPG") for second in range(3)]
    (visit,), ids = put_together(Events(LABELS, EventSettings()), frames, [[1, 0, 0]] * 3)
    assert set(ids) == {visit.event_id} and (visit.camera, visit.frames) == ("/card/DCIM", 3)


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
        (event,) = edge.events()
        assert event.frames == 2 and event.label in edge.bundle.manifest.labels
        assert not list(edge.events())
