"""Pictures of open events: what a stop leaves of them waits at the next start."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from store_parts import device, frame_files, item

from edge_sdk.config import StorageSettings
from edge_sdk.store import events
from edge_sdk.store.schema import FrameRecord, State
from edge_sdk.store.store import Store
from edge_sdk.types import Event, Reason


def waiting(frame_id: str) -> FrameRecord:
    return FrameRecord(replace(device(frame_id, final=False), reason=Reason.UNSURE), gain=0.5, event="e1")


def put(store: Store, frame_id: str, handled_ns: int = 0, gain: float = 0.5) -> None:
    store.pending.put(replace(item(frame_id, gain), event="e1"), waiting(frame_id), handled_ns)


def test_a_start_lets_the_picture_wait_though_no_row_was_written(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        put(store, "a")
        assert len(store.spool) == 0
    with Store(tmp_path) as store:
        found = store.spool.next()
        assert found is not None and (found.frame_id, found.event) == ("a", "e1")
        (entry,) = store.journal.events()
        assert (entry.event.event_id, entry.event.best_frame_id, entry.state) == ("e1", "a", State.WAITING)
        assert (entry.ended, entry.event.revision, entry.event.label) == (True, 1, "fox")
    assert frame_files(tmp_path, "pending") == set() and frame_files(tmp_path) == {"a"}


def test_of_two_of_one_event_the_later_waits(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        put(store, "b", 2)
        put(store, "a", 1)
        put(store, "c", 3)
    with Store(tmp_path) as store:
        assert store.spool.ids() == ("c",)
    assert frame_files(tmp_path, "pending") == set()


def test_the_picture_of_a_decided_event_goes(tmp_path: Path) -> None:
    said = device("a")
    event = Event("e1", "cam", said.captured_at, said.captured_at, 1, "fox", 0.5, "a")
    with Store(tmp_path) as store:
        put(store, "a")
        store.write(events.put(event, State.FINAL, 0, ended=True, model=""))
    with Store(tmp_path) as store:
        assert len(store.spool) == 0
    assert frame_files(tmp_path, "pending") == set()


@pytest.mark.parametrize("cut", [3, 60, -1])
def test_a_damaged_picture_is_put_aside_and_its_event_is_lost(tmp_path: Path, cut: int) -> None:
    said = device("a")
    event = Event("e1", "cam", said.captured_at, said.captured_at, 1, "fox", 0.5, "a", reason=Reason.UNSURE, revision=0)
    with Store(tmp_path) as store:
        put(store, "a")
        store.write(events.put(event, State.WAITING, 0, ended=False, model=""))
    path = tmp_path / "pending" / "a.frame"
    path.write_bytes(path.read_bytes()[:cut])
    with Store(tmp_path) as store:
        (entry,) = store.journal.events()
        assert (entry.state, entry.event.reason, entry.event.final) == (State.LOST, Reason.DAMAGED, True)
    assert frame_files(tmp_path, "damaged") == {"a"}


def test_what_was_being_written_goes(tmp_path: Path) -> None:
    with Store(tmp_path):
        (tmp_path / "pending" / "a.partial").write_bytes(b"x")
    with Store(tmp_path):
        assert not list((tmp_path / "pending").iterdir())


def test_a_picture_that_is_not_synced_at_once_is_with_the_next_group(tmp_path: Path) -> None:
    with Store(tmp_path, StorageSettings(durable="1s"), flush_interval_s=3600) as store:
        put(store, "a")
        put(store, "b")
        store.pending.remove("b")
        assert store.flush()
        assert frame_files(tmp_path, "pending") == {"a"}
