"""Frames of a model with other labels in the same store: kept apart, and the first to give way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from store_parts import frame_files, item, record

from edge_sdk.config import StorageSettings
from edge_sdk.store.store import Store
from edge_sdk.types import Reason


def put(folder: Path, label_set: str, *names: str, gain: float = 0.5) -> None:
    with Store(folder, label_set=label_set) as store:
        for name in names:
            store.spool.put(item(name, gain), replace(record(name), model=f"bundle {label_set}"))


def test_they_wait_for_their_own_model(tmp_path: Path) -> None:
    put(tmp_path, "birds", "wren", "robin")
    with Store(tmp_path, label_set="deer") as store:
        assert len(store.spool) == 0 and store.spool.size_bytes == 0 and store.spool.next() is None
    with Store(tmp_path, label_set="birds") as store:
        assert set(store.spool.ids()) == {"wren", "robin"}


def test_they_make_room_the_lowest_rank_first(tmp_path: Path) -> None:
    put(tmp_path, "birds", "low", gain=0.1)
    put(tmp_path, "birds", "high", gain=0.9)
    size = (tmp_path / "frames" / "low.frame").stat().st_size
    with Store(tmp_path, label_set="deer", spool_bytes=int(2.5 * size)) as store:
        store.spool.put(item("new"), replace(record("new"), model="bundle deer"))
        store.flush()
        assert frame_files(tmp_path) == {"high", "new"}
    with Store(tmp_path) as store:
        answer = store.journal.get("low")
        assert answer is not None and answer.final and answer.reason is Reason.EVICTED


def test_those_that_are_too_old_leave_at_a_start(tmp_path: Path) -> None:
    now = [1000.0]
    clock = {"clock": lambda: now[0], "steady": lambda: now[0], "boot_id": "one"}
    with Store(tmp_path, label_set="birds", **clock) as store:  # type: ignore[arg-type]
        store.spool.put(item("old"), replace(record("old"), model="bundle birds"))
    now[0] += 100
    with Store(tmp_path, StorageSettings(spool_age_s=50), label_set="deer", **clock) as store:  # type: ignore[arg-type]
        store.flush()
        assert frame_files(tmp_path) == set()
    with Store(tmp_path) as store:
        answer = store.journal.get("old")
        assert answer is not None and answer.reason is Reason.EXPIRED
