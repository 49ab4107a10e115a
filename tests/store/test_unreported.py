from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from store_parts import NOON, cloud, device, item, record

from edge_sdk.store.events import put
from edge_sdk.store.schema import Change, FrameRecord, State
from edge_sdk.store.store import Store
from edge_sdk.testing import FakeClock
from edge_sdk.types import Event, Reason

IDS = [f"{number:032x}" for number in range(1, 6)]


def reported(store: Store) -> list[str]:
    return [entry.answer.frame_id for _, entry in store.unreported.newest(100, 1e9)]


def test_final_answers_are_reported_once_the_newest_first(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        for frame_id in IDS[:3]:
            store.exit(FrameRecord(device(frame_id)))
        assert reported(store) == IDS[2::-1]
        found = store.unreported.newest(2, 1e9)
        store.unreported.mark(number for number, _ in found)
        assert reported(store) == IDS[:1]
        assert [entry.reported for entry in store.journal.query()] == [False, True, True]
        assert store.unreported.newest(0, 1e9) == []
    with Store(tmp_path) as store:
        assert reported(store) == IDS[:1]


def test_a_frame_that_waits_is_reported_when_it_has_its_last_word(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.spool.put(item(IDS[0]), record(IDS[0]))
        assert reported(store) == []
        assert store.spool.answer(cloud(IDS[0]), top_k=(), model="big", disagreed=False)
        ((number, entry),) = store.unreported.newest(10, 1e9)
        assert (entry.answer.label, entry.device.label) == ("deer", "fox")
        store.unreported.mark([number])
        assert reported(store) == []


def test_a_frame_that_is_put_again_after_its_report_is_reported_again(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.spool.put(item(IDS[0]), record(IDS[0]))
        store.spool.finish(IDS[0], Reason.GIVEN_UP, "no answer")
        store.unreported.mark(number for number, _ in store.unreported.newest(10, 1e9))
        store.spool.put(item(IDS[0]), record(IDS[0]))
        assert reported(store) == []
        store.spool.answer(cloud(IDS[0]), top_k=(), model="big", disagreed=False)
        assert reported(store) == IDS[:1]


def test_old_answers_are_left_out(tmp_path: Path) -> None:
    clock = FakeClock()
    with Store(tmp_path, clock=clock.wall_s, steady=clock.steady_s, boot_id="1") as store:
        store.exit(FrameRecord(device(IDS[0])))
        store.flush()
        clock.pass_s(3600)
        store.exit(FrameRecord(device(IDS[1])))
        assert [entry.answer.frame_id for _, entry in store.unreported.newest(10, 1800)] == [IDS[1]]
        assert [entry.answer.frame_id for _, entry in store.unreported.newest(10, 7200)] == [IDS[1], IDS[0]]


def event(number: int, *, ended: bool = True, state: State = State.FINAL) -> Change:
    began = NOON + timedelta(minutes=number)
    one = Event(f"{number:032x}", "cam", began, began + timedelta(seconds=9), 3, "fox", 0.75, f"{number:032x}")
    return put(one, state, 0, ended=ended, model="trailcam 3")


def test_events_are_reported_once_when_they_have_ended_and_have_their_last_word(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store._table.change(event(1), event(2), event(3, ended=False), event(4, state=State.WAITING))
        found = store.unreported.newest_events(10)
        assert [row.event.event_id[-1] for row in found] == ["2", "1"]
        row = found[1].event
        assert (row.source, row.frames, row.label, row.confidence) == ("cam", 3, "fox", 0.75)
        assert (row.began_at, row.ended_at) == (NOON + timedelta(minutes=1), NOON + timedelta(minutes=1, seconds=9))
        assert len(store.unreported.newest_events(1)) == 1
        store.unreported.mark_events([row.event_id])
        store._table.change(event(3), event(4))
        assert [row.event.event_id[-1] for row in store.unreported.newest_events(10)] == ["4", "3", "2"]
    with Store(tmp_path) as store:
        assert len(store.unreported.newest_events(10)) == 3


@pytest.mark.parametrize(
    ("column", "value"), [("event_id", "'e1'"), ("event_id", "x'ff00'"), ("began_us", "'x{'"), ("reason", "'moon'")]
)
def test_a_damaged_event_is_left_out_and_counts_as_reported(tmp_path: Path, column: str, value: str) -> None:
    with Store(tmp_path) as store:
        store._table.change(event(1), event(2))
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        connection.execute(f"UPDATE events SET {column} = {value} WHERE event_id = '{2:032x}'")
        connection.commit()
    with Store(tmp_path) as store:
        assert [row.event.event_id[-1] for row in store.unreported.newest_events(10)] == ["1"]
        assert store._table.read("SELECT count(*) FROM events WHERE reported = 1") == [(1,)]
        assert [row.event.event_id[-1] for row in store.unreported.newest_events(1)] == ["1"]


def test_the_question_is_answered_by_the_index(tmp_path: Path) -> None:
    from edge_sdk.store import unreported

    with Store(tmp_path) as store:
        plan = store._table.read(f"EXPLAIN QUERY PLAN {unreported._NEWEST}", [1])
        assert "frames_unreported" in plan[0][3]
        plan = store._table.read(f"EXPLAIN QUERY PLAN {unreported._NEWEST_EVENTS}", [1])
        assert "events_unreported" in plan[0][3]
