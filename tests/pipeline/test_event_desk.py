"""Events that are answered as a whole: how they stand, what is kept of them, how they are decided and settled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from event_parts import (
    AS_A_WHOLE,
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

from edge_sdk import Answer, Event, Origin, Preferences, Reason
from edge_sdk.config import StorageSettings, UplinkSettings
from edge_sdk.images.read import decode_image
from edge_sdk.link.transport import Refusal, ServerInfo
from edge_sdk.store.schema import State
from edge_sdk.store.spool import SpoolItem
from edge_sdk.testing import FakeClock, FakeTransport


def now() -> datetime:
    return datetime.now(UTC)


def test_a_sure_event_exits_and_no_picture_is_written(tmp_path: Path) -> None:
    with classifier(tmp_path) as edge:
        said = [edge.classify(frame(chances, second)) for second, chances in enumerate([NOTHING, SURE, SURE, SURE])]
        assert [(one.final, one.reason) for one in said] == [(False, Reason.EVENT)] * 4
        stands = said[-1].event
        assert stands is not None and (stands.final, stands.revision, stands.frames) == (False, 0, 4)
        assert not files(tmp_path, "pending") and not files(tmp_path, "frames")
        assert [entry.ended for entry in edge.journal.events()] == [False]
    (event,) = edge.events()
    assert (event.label, event.final, event.origin, event.reason) == ("deer", True, Origin.DEVICE, Reason.CONFIDENT)
    assert (event.frames, event.revision, event.event_id) == (4, 1, said[0].frame_id)
    assert event.best_frame_id == said[1].frame_id and event.confidence == pytest.approx(0.95, abs=0.01)
    entries = list(edge.journal.query())
    assert {(one.state, one.answer.reason, one.answer.final) for one in entries} == {(State.FINAL, Reason.EVENT, True)}
    (entry,) = edge.journal.events()
    assert (entry.event.label, entry.state, entry.ended, entry.event.frames) == ("deer", State.FINAL, True, 4)
    usage = edge.lifetime_usage
    assert (usage.frames, usage.exits, usage.offloads, usage.events, usage.events_offloaded) == (4, 4, 0, 1, 0)


def test_of_an_unsure_event_the_least_empty_frame_travels_and_the_last_word_weighs_both(tmp_path: Path) -> None:
    transport = FakeTransport(LABELS, says_fox)
    heard: list[Answer] = []
    rows = [(0.4, 0.35, 0.25), (0.1, 0.5, 0.4), (0.2, 0.45, 0.35), (0.6, 0.3, 0.1)]
    with classifier(
        tmp_path, with_rule(threshold=0.8, best=2, ensemble=0.25), cloud="localhost:1", transport=transport
    ) as edge:
        edge.listen(heard.append)
        said = [edge.classify(frame(chances, second)) for second, chances in enumerate(rows)]
        assert files(tmp_path, "pending") == {said[1].frame_id} and not transport.sent
        assert edge.answers_events and edge.threshold == 0.8
        edge.classify(frame(SURE, 100))  # another visit
        events = list[Event]()
        for event in edge.events(wait_s=60):  # it waits on for the other visit, which is not over
            events.append(event)
            if event.final:
                break
        (late,) = edge.late_answers(wait_s=60)
        assert [item.frame_id for item in transport.sent] == [said[1].frame_id]
        assert transport.sent[0].event == said[0].frame_id
        (entry,) = edge.journal.events(label="fox")
    assert not files(tmp_path, "pending") and not files(tmp_path, "frames")  # they go after the commit
    event = events[-1]
    assert (event.label, event.final, event.origin, event.reason) == ("fox", True, Origin.CLOUD, Reason.CLOUD)
    mean = np.mean([rows[1], rows[2]], axis=0)
    assert event.confidence == pytest.approx(0.25 * mean[2] + 0.75 * 0.7, abs=0.01)
    assert late.event == event and (late.frame_id, late.label, late.final) == (said[1].frame_id, "fox", True)
    assert (entry.device_label, entry.state, entry.event.revision) == ("deer", State.ANSWERED, event.revision)
    assert [one.answer.origin for one in edge.journal.query()] == [Origin.DEVICE, Origin.CLOUD, *[Origin.DEVICE] * 3]
    usage = edge.lifetime_usage
    assert (usage.frames, usage.exits, usage.offloads, usage.events, usage.events_offloaded) == (5, 4, 1, 2, 1)
    words = [one for one in heard if one.final]
    assert [(one.label, one.event) for one in words if one.origin is Origin.CLOUD] == [("fox", event)]


def test_an_event_that_grows_sure_leaves_no_picture_and_one_that_grows_unsure_has_its_best(tmp_path: Path) -> None:
    with classifier(tmp_path, events=replace(AS_A_WHOLE, best=1)) as edge:
        first = edge.classify(frame(UNSURE, 0))
        assert files(tmp_path, "pending") == {first.frame_id}
        edge.classify(frame(SURE, 1))
        assert not files(tmp_path, "pending")
        third = edge.classify(frame((0.01, 0.5, 0.49), 2))
        assert files(tmp_path, "pending") == {third.frame_id}
        edge.classify(frame(UNSURE, 3))
        assert files(tmp_path, "pending") == {third.frame_id}
    assert files(tmp_path, "frames") == {third.frame_id} and not files(tmp_path, "pending")


def test_the_callers_array_may_be_used_again(tmp_path: Path) -> None:
    transport = FakeTransport(LABELS, says_fox)
    best, image = frame((0.02, 0.9, 0.08)).image, np.empty((48, 64, 3), np.uint8)
    with classifier(tmp_path, cloud="localhost:1", transport=transport, threshold=0.85) as edge:
        image[:] = best
        edge.classify(image)  # sure: it is kept in memory alone
        image[:] = frame((0.4, 0.1, 0.5)).image
        edge.classify(image)  # now the event is unsure, and the first frame is its least empty one
        image[:] = 0
        edge._walk.end_events()
        list(edge.late_answers(wait_s=20))
    (item,) = transport.sent
    assert decode_image(item.image).image[0, 0].tolist() == pytest.approx(best[0, 0].tolist(), abs=4)


@pytest.mark.parametrize(
    ("rows", "never"), [([(0.3, 0.4, 0.3)], "fox"), ([(0.1, 0.6, 0.3), (0.2, 0.7, 0.1), (0.2, 0.7, 0.1)], "fox")]
)
def test_an_event_is_private_by_its_mean_or_by_the_frame_that_would_travel(
    tmp_path: Path, rows: list[tuple[float, ...]], never: str
) -> None:
    wants = Preferences(never_upload=(never,), private_above=0.25)
    with classifier(tmp_path, preferences=wants) as edge:
        for second, chances in enumerate(rows):
            edge.classify(frame(chances, second))
            assert not files(tmp_path, "pending")
    (event,) = edge.events()
    assert (event.final, event.reason) == (True, Reason.PRIVATE) and not files(tmp_path, "frames")


def refuses(item: SpoolItem, server: ServerInfo) -> Refusal:
    return Refusal(item.frame_id, "no such picture", False, False)


def fails(item: SpoolItem, server: ServerInfo) -> Refusal:
    return Refusal(item.frame_id, "out of memory", True, False)


@pytest.mark.parametrize(("script", "reason"), [(refuses, Reason.REFUSED), (fails, Reason.GIVEN_UP)])
def test_a_frame_that_is_never_answered_leaves_its_event_with_the_devices_word(
    tmp_path: Path, script: Callable[[SpoolItem, ServerInfo], Refusal], reason: Reason
) -> None:
    uplink = UplinkSettings(backoff_s=0.01, max_backoff_s=0.01, max_tries=2)
    transport = FakeTransport(LABELS, script)
    with classifier(tmp_path, cloud="localhost:1", transport=transport, uplink=uplink) as edge:
        list(edge.watch([frame(UNSURE, 0), frame(UNSURE, 1)]))
        events = list(edge.events())
        while not events[-1].final:
            events += edge.events(wait_s=1)
        (entry,) = edge.journal.events()
    assert (events[-1].label, events[-1].reason, events[-1].origin) == ("deer", reason, Origin.DEVICE)
    assert (entry.event.reason, entry.event.final, entry.state) == (reason, True, State.FINAL)


def test_an_evicted_and_an_expired_frame_end_their_events(tmp_path: Path) -> None:
    clock = FakeClock(datetime(2027, 1, 1, tzinfo=UTC).timestamp())
    storage = StorageSettings(spool_age_s=3600)
    with classifier(tmp_path, clock=clock, spool_bytes=2_000, storage=storage) as edge:
        for number, chances in enumerate([(0.3, 0.4, 0.3), (0.3, 0.36, 0.34), (0.33, 0.34, 0.33)]):
            list(edge.watch([frame(chances, 100 * number)]))
        evicted = {one.event_id for one in edge.events() if one.reason is Reason.EVICTED}
        waiting = edge.waiting
        assert evicted and len(evicted) + waiting == 3
        assert {one.event.event_id for one in edge.journal.events() if one.state is State.LOST} == evicted
        clock.pass_s(7200)
        assert edge._parts.store.spool.next() is None
        expired = [one for one in edge.events() if one.reason is Reason.EXPIRED]
        assert len(expired) == waiting and all(one.final for one in expired)
        assert all(one.event.final for one in edge.journal.events())


def test_a_spool_without_room_for_one_frame_leaves_the_devices_word(tmp_path: Path) -> None:
    with classifier(tmp_path, spool_bytes=10) as edge:
        list(edge.watch([frame(UNSURE)]))
        (event,) = edge.events()
    assert (event.final, event.reason) == (True, Reason.EVICTED) and not files(tmp_path, "pending")
    (entry,) = edge.journal.events()
    assert (entry.state, entry.event.reason) == (State.LOST, Reason.EVICTED)


def test_an_event_ends_by_itself_where_no_frame_comes(tmp_path: Path) -> None:
    told: list[Event] = []
    with classifier(tmp_path, events=replace(AS_A_WHOLE, gap_s=0.05), on_event=told.append) as edge:
        edge.classify(frame(SURE, start=now()))
        event = next(edge.events(wait_s=30))
        assert event.final and event.frames == 1
    assert told == [event]


def test_waiting_for_an_answer_waits_for_the_events_last_word(tmp_path: Path) -> None:
    transport = FakeTransport(LABELS, says_fox)
    settings = replace(AS_A_WHOLE, gap_s=0.05)
    with classifier(tmp_path, events=settings, cloud="localhost:1", transport=transport) as edge:
        said = edge.classify(frame(UNSURE, start=now()), wait_s=300)
        assert (said.label, said.origin, said.final) == ("fox", Origin.CLOUD, True)
        assert said.event is not None and said.event.final and said.event.label == "fox"
        sure = edge.classify(frame(SURE, start=now()), wait_s=300)
        assert (sure.label, sure.origin, sure.final, sure.reason) == ("deer", Origin.DEVICE, True, Reason.EVENT)
        assert sure.event is not None and sure.event.reason is Reason.CONFIDENT
        assert list(edge.late_answers()) == []


def test_an_event_is_decided_in_time_though_it_goes_on(tmp_path: Path) -> None:
    clock = FakeClock()
    start = datetime.fromtimestamp(clock.wall_s(), UTC)
    with classifier(tmp_path, events=replace(AS_A_WHOLE, within_s=4), clock=clock) as edge:
        edge.classify(frame(UNSURE, 0, start=start))
        clock.pass_s(4)
        (event,) = edge.events()
        assert (event.frames, event.revision, event.final) == (1, 1, False)
        assert edge.waiting == 1
        said = edge.classify(frame(SURE, 5, start=start))
        assert said.event is not None and (said.event.frames, said.event.label) == (2, "deer")
        assert said.event.confidence == event.confidence and not said.final
        clock.pass_s(11)
        (ended,) = edge.events()
        assert (ended.frames, ended.revision, ended.confidence) == (2, 2, event.confidence)
        (entry,) = edge.journal.events()
        assert (entry.ended, entry.event.frames, entry.event.revision, entry.state) == (True, 2, 2, State.WAITING)
        usage = edge.usage
        assert (usage.frames, usage.exits, usage.offloads, usage.events) == (2, 1, 1, 1)


def test_a_visit_of_two_kinds_names_the_other_too(tmp_path: Path) -> None:
    with classifier(tmp_path, threshold=0.8) as edge:
        for second, chances in enumerate([SURE] * 4 + [(0.03, 0.02, 0.95)] * 3):
            edge.classify(frame(chances, second))
    (event,) = edge.events()
    assert event.label == "deer" and [label for label, _ in event.also] == ["fox"]
    assert event.also[0][1] == pytest.approx(0.95, abs=0.01)
    (entry,) = edge.journal.events()
    assert [label for label, _ in entry.event.also] == ["fox"]


def test_frames_that_no_movement_brought_are_answered_alone(tmp_path: Path) -> None:
    with classifier(tmp_path) as edge:
        said = edge._walk.answer(frame(UNSURE), "heartbeat")
        assert (said.event, said.reason, said.final) == (None, Reason.UNSURE, False) and edge.waiting == 1


def test_a_new_threshold_holds_for_the_event_that_is_open(tmp_path: Path) -> None:
    with classifier(tmp_path) as edge:
        edge.classify(frame(UNSURE))
        edge.reconfigure(threshold=0.1)
    (event,) = edge.events()
    assert event.final and event.reason is Reason.CONFIDENT
    assert not files(tmp_path, "frames") and not files(tmp_path, "pending")


def test_a_stricter_rule_holds_for_the_picture_of_an_event_that_is_open(tmp_path: Path) -> None:
    with classifier(tmp_path) as edge:
        edge.classify(frame(UNSURE))
        assert len(files(tmp_path, "pending")) == 1
        edge.reconfigure(archive="10MB, never: fox")
        assert not files(tmp_path, "pending")
        edge.reconfigure(archive=None)
        assert len(files(tmp_path, "pending")) == 1
        edge.reconfigure(preferences=Preferences(never_upload=("fox",)))
        assert not files(tmp_path, "pending")
    (event,) = edge.events()
    assert event.reason is Reason.PRIVATE and not files(tmp_path, "frames")


def test_the_rules_temperature_is_that_of_the_mean(tmp_path: Path) -> None:
    with classifier(tmp_path, with_rule(temperature=0.5, threshold=0.45, best=1)) as edge:
        edge.classify(frame(UNSURE))
    (event,) = edge.events()
    assert event.final and event.confidence == pytest.approx(0.16 / (0.16 + 2 * 0.09), abs=0.01)


def test_an_archive_of_all_frames_has_the_frame_that_travelled_once(tmp_path: Path) -> None:
    transport = FakeTransport(LABELS, says_fox)
    storage = StorageSettings(archive="10MB")
    with classifier(tmp_path, cloud="localhost:1", transport=transport, storage=storage) as edge:
        list(edge.watch([frame(UNSURE, 0), frame(UNSURE, 1)]))
        while edge.waiting:
            list(edge.late_answers(wait_s=1))
        edge.journal.flush()
        store = edge._parts.store
        kept = files(tmp_path, "archive")
        assert kept == {entry.answer.frame_id for entry in edge.journal.query()}
        sizes = [path.stat().st_size for path in (tmp_path / "state" / "archive").iterdir()]
        assert store.archive.size_bytes == sum(sizes)


@pytest.mark.parametrize("flushed", [False, True])
def test_an_event_that_a_kill_leaves_open_goes_to_the_cloud_at_the_next_start(tmp_path: Path, flushed: bool) -> None:
    bundle = bundle_in(tmp_path, with_rule(ensemble=0.25, best=2))
    with classifier(tmp_path, bundle=bundle) as edge:
        said = [edge.classify(frame(chances, second)) for second, chances in enumerate([UNSURE, (0.1, 0.5, 0.4)])]
        if flushed:
            edge.journal.flush()
        left = killed(tmp_path)
    transport = FakeTransport(LABELS, says_fox)
    with classifier(left, bundle=bundle, cloud="localhost:1", transport=transport) as edge:
        events = list(edge.events(wait_s=20))
        while not events:
            events += edge.events(wait_s=1)
        (entry,) = edge.journal.events()
        assert not files(left, "pending")
    assert [item.frame_id for item in transport.sent] == [said[1].frame_id]
    (event,) = events
    assert (event.event_id, event.label, event.origin, event.final) == (said[0].frame_id, "fox", Origin.CLOUD, True)
    assert event.confidence == pytest.approx(0.25 * 0.35 + 0.75 * 0.7, abs=0.01)
    assert entry.ended and entry.state is State.ANSWERED
    if flushed:
        assert entry.event.frames == 2


@pytest.mark.parametrize("flushed", [False, True])
def test_a_kill_just_after_the_decision_loses_nothing(tmp_path: Path, flushed: bool) -> None:
    bundle = bundle_in(tmp_path)
    with classifier(tmp_path, bundle=bundle) as edge:
        edge.classify(frame(UNSURE))
        edge.journal.flush()
        edge._walk.end_events()
        if flushed:
            edge.journal.flush()
        left = killed(tmp_path)
    with classifier(left, bundle=bundle) as edge:
        assert edge.waiting == 1
        (entry,) = edge.journal.events()
        assert (entry.state, entry.event.reason, entry.event.final) == (State.WAITING, Reason.UNSURE, False)
        assert not files(left, "pending")


def test_a_sure_event_that_a_kill_leaves_open_ends_as_it_stood(tmp_path: Path) -> None:
    bundle = bundle_in(tmp_path)
    with classifier(tmp_path, bundle=bundle) as edge:
        for second, chances in enumerate([UNSURE, SURE, SURE, SURE]):
            edge.classify(frame(chances, second))
        edge.journal.flush()
        left = killed(tmp_path)
    with classifier(left, bundle=bundle) as edge:
        assert edge.waiting == 0
        (entry,) = edge.journal.events()
    assert (entry.event.label, entry.event.final, entry.event.reason) == ("deer", True, Reason.CONFIDENT)
    assert entry.ended and entry.event.frames == 4


def test_no_event_is_lost_by_sigkill(tmp_path: Path) -> None:
    bundle = bundle_in(tmp_path)
    told = set[str]()
    for start, lines in ((0, 1), (1000, 7), (2000, 23)):
        told |= told_until_killed(tmp_path, UNSURE, start=start, lines=lines)
        with classifier(tmp_path, bundle=bundle) as edge:
            rows = {one.event.event_id: one for one in edge.journal.events()}
            waits = {edge.journal.entry(frame_id) for frame_id in edge._parts.store.spool.ids()}
            assert {entry.event for entry in waits if entry is not None} == set(rows)  # one frame for each event
            assert edge.waiting == len(rows) and told <= set(rows)
            assert all(one.ended and one.state is State.WAITING for one in rows.values())
