"""The rows of events: written, settled with their frames, bounded, made anew, closed at a start."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from store_parts import NOON, cloud, device, item, record

from edge_sdk.config import StorageSettings
from edge_sdk.errors import ConfigError
from edge_sdk.store import events
from edge_sdk.store.schema import FrameRecord, State
from edge_sdk.store.store import Store
from edge_sdk.types import Event, Origin, Reason

OPEN = Event(
    "e1", "cam", NOON, NOON + timedelta(seconds=9), 3, "fox", 0.5, "a", False, reason=Reason.UNSURE, revision=0
)
WAITS = replace(OPEN, revision=1, also=(("deer", 0.8),), top_k=(("fox", 0.5), ("deer", 0.4)))


def in_event(frame_id: str, event: str = "e1", *, final: bool = True, minute: int = 0) -> FrameRecord:
    """A frame of an event that is answered as a whole."""
    said = device(frame_id, final=final, minute=minute)
    top_k = (("fox", 0.5), ("deer", 0.25))
    return FrameRecord(
        replace(said, reason=Reason.EVENT if final else Reason.UNSURE), "trailcam 2 0a1b2c", top_k, 0.5, event=event
    )


def offload(store: Store) -> None:
    """Frame "a" waits for its event."""
    store.exit(in_event("a"))
    change = events.put(WAITS, State.WAITING, store.now_ns(), ended=True, model="trailcam 2 0a1b2c")
    store.spool.put(replace(item("a"), event="e1"), in_event("a", final=False), change)


def the_event(store: Store) -> events.EventEntry:
    (entry,) = store.journal.events()
    return entry


def test_an_event_is_read_as_it_was_written(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        offload(store)
        entry = the_event(store)
        assert entry.event == WAITS and store.journal.event("e1") == entry and store.journal.event("e2") is None
        assert (entry.device_label, entry.state, entry.ended, entry.model) == (
            "fox",
            State.WAITING,
            True,
            "trailcam 2 0a1b2c",
        )
        assert store.journal.events(label="deer") == [] == store.journal.events(until=NOON)
        assert store.journal.events(since=NOON, label="fox", limit=1, newest_first=True) == [entry]
        with pytest.raises(ConfigError, match="with a time zone"):
            store.journal.events(since=NOON.replace(tzinfo=None))


def test_the_clouds_answer_settles_frame_and_event_together(tmp_path: Path) -> None:
    with Store(tmp_path, flush_interval_s=3600) as store:
        offload(store)
        store.flush()
        also = [events.answered("e1", "deer", "", 0.7, (("deer", 0.9),))]
        assert store.spool.answer(cloud("a"), also=also)
        left = tmp_path / "killed"
        shutil.copytree(tmp_path, left, ignore=shutil.ignore_patterns("*-shm", "killed"))
        entry = the_event(store)
    assert (entry.event.label, entry.event.origin, entry.event.reason) == ("deer", Origin.CLOUD, Reason.CLOUD)
    assert (entry.event.final, entry.event.revision, entry.device_label) == (True, 2, "fox")
    with Store(left) as store:  # nothing of it was on the disk: both wait
        assert store.spool.ids() == ("a",) and the_event(store).event == WAITS


@pytest.mark.parametrize("reason", [Reason.REFUSED, Reason.GIVEN_UP])
def test_a_frame_that_leaves_ends_the_event_that_it_stands_for(tmp_path: Path, reason: Reason) -> None:
    with Store(tmp_path) as store:
        offload(store)
        store.spool.put(item("b"), replace(record("b"), event="e1"))  # another frame of it, for itself alone
        assert store.spool.finish("b", reason) and not the_event(store).event.final
        assert store.spool.finish("a", reason)
        assert (the_event(store).event.reason, the_event(store).event.final) == (reason, True)


def test_a_damaged_frame_ends_its_event(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        offload(store)
    (tmp_path / "frames" / "a.frame").write_bytes(b"")
    with Store(tmp_path) as store:
        assert store.spool.next() is None
        assert (the_event(store).event.reason, the_event(store).state) == (Reason.DAMAGED, State.LOST)


def test_a_frame_that_is_gone_at_a_start_ends_its_event(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        offload(store)
    (tmp_path / "frames" / "a.frame").unlink()
    with Store(tmp_path) as store:
        assert (the_event(store).event.reason, the_event(store).state) == (Reason.DAMAGED, State.LOST)


def test_events_leave_with_their_frames_and_those_that_wait_stay(tmp_path: Path) -> None:
    with Store(tmp_path, StorageSettings(journal_rows=100), flush_interval_s=3600) as store:
        offload(store)
        for number in range(300):
            event = replace(WAITS, event_id=f"v{number}", final=True, reason=Reason.CONFIDENT)
            store.exit(in_event(f"f{number}", event.event_id))
            store.write(events.put(event, State.FINAL, store.now_ns(), ended=True, model="trailcam 2 0a1b2c"))
            store.flush()
        ids = {entry.event.event_id for entry in store.journal.events()}
        frames = {entry.event for entry in store.journal.query()}
    assert len(frames) <= 101 and frames <= ids
    assert "e1" in ids and len(ids - frames) <= 2  # deleted where they ended before the oldest frame left


def test_a_lost_table_has_its_events_made_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Store(tmp_path) as store:
        offload(store)
        for number in range(4):
            store.exit(in_event(f"f{number}", "e2", minute=number))
    (tmp_path / "state.db").write_bytes(b"\x00" * 100 + (tmp_path / "state.db").read_bytes()[100:])
    for companion in tmp_path.glob("state.db-*"):
        companion.unlink()
    with Store(tmp_path) as store:
        found = {entry.event.event_id: entry for entry in store.journal.events()}
    assert "made anew" in caplog.text
    assert found["e1"].state is State.WAITING and found["e1"].event.best_frame_id == "a"
    assert (found["e2"].event.label, found["e2"].event.frames, found["e2"].event.final) == ("fox", 4, True)


@pytest.mark.parametrize("column", ["began_us", "reason", "also", "revision"])
def test_a_damaged_row_is_left_out(tmp_path: Path, column: str) -> None:
    with Store(tmp_path) as store:
        offload(store)
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        connection.execute(f"UPDATE events SET {column} = 'x{{'")
        connection.commit()
    with Store(tmp_path) as store:
        assert store.journal.events() == []
        assert store.spool.ids() == ("a",)


@pytest.mark.parametrize(
    ("reason", "state", "ends"),
    [
        (Reason.CONFIDENT, State.FINAL, Reason.CONFIDENT),
        (Reason.PRIVATE, State.FINAL, Reason.PRIVATE),
        (Reason.UNSURE, State.FINAL, Reason.CONFIDENT),
    ],
)
def test_open_events_without_a_picture_end_at_a_start(
    tmp_path: Path, reason: Reason, state: State, ends: Reason
) -> None:
    with Store(tmp_path) as store:
        for number in range(3):
            store.exit(in_event(f"f{number}", minute=number))
        event = replace(OPEN, frames=1, reason=reason)
        store.write(events.put(event, State.WAITING, store.now_ns(), ended=False, model=""))
    with Store(tmp_path) as store:
        entry = the_event(store)
    assert (entry.state, entry.event.reason, entry.ended, entry.event.final) == (state, ends, True, True)
    assert entry.event.frames == 3 and entry.event.ended_at == NOON + timedelta(minutes=2)


def test_an_event_that_was_decided_early_ends_with_its_length(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.write(events.put(WAITS, State.WAITING, 0, ended=False, model=""))
        store.write(events.ended("e1", 7, NOON + timedelta(minutes=1)))
        entry = the_event(store)
    assert (entry.event.frames, entry.event.ended_at, entry.ended) == (7, NOON + timedelta(minutes=1), True)
    assert entry.state is State.WAITING


def test_a_file_of_an_older_version_gets_the_columns(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.exit(in_event("f"))
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        for name in ("revision", "also", "model", "handled_ns", "level", "audit", "audit_chance"):
            connection.execute(f"ALTER TABLE events DROP COLUMN {name}")
        connection.execute("ALTER TABLE frames DROP COLUMN event_class")
        connection.execute("DROP TABLE audit_counts")
        connection.execute("PRAGMA user_version = 6")
        connection.commit()
    with Store(tmp_path) as store:
        offload(store)
        assert the_event(store).event == WAITS
