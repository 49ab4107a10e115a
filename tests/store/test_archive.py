"""Pictures that are kept after their last word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from store_parts import cloud, frame_files, item, record

from edge_sdk.config import StorageSettings
from edge_sdk.errors import ConfigError
from edge_sdk.store import archive as module
from edge_sdk.store.store import Store
from edge_sdk.types import Prediction, Reason

DAY_S = 86_400
SAID = Prediction(("deer", "fox"), np.array([0.25, 0.75], np.float32))


def put_and_answer(store: Store, frame_id: str, *, disagreed: bool = False) -> None:
    store.spool.put(item(frame_id), record(frame_id))
    store.spool.answer(cloud(frame_id), disagreed=disagreed)


def test_pictures_of_exits_and_of_answered_frames_are_kept_and_come_back(tmp_path: Path) -> None:
    settings = StorageSettings(archive="1MB")
    with Store(tmp_path, settings) as store:
        assert store.archive.wants(record("exit", final=True), SAID)
        store.exit(record("exit", final=True), item("exit"))
        put_and_answer(store, "answered")
        store.spool.put(item("refused"))
        store.spool.finish("refused", Reason.REFUSED)
        store.spool.put(item("waits"))
        size = store.archive.size_bytes
    with Store(tmp_path, settings) as store:
        assert store.archive.size_bytes == size > 3000
        assert frame_files(tmp_path, "archive") == {"exit", "answered", "refused"}
        assert store.archive.read("exit") == item("exit").image
        assert store.archive.read("answered") == item("answered").image
        assert store.archive.read("waits") is None
        entry = store.journal.entry("answered")
        assert entry is not None and entry.picture == "archive/answered.frame"
        assert store.spool.ids() == ("waits",)


def test_without_an_archive_nothing_is_kept(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        assert not store.archive.wants(record("exit", final=True), SAID)
        store.exit(record("exit", final=True), item("exit"))
        put_and_answer(store, "answered")
        assert store.flush()
        assert frame_files(tmp_path, "archive") == frame_files(tmp_path) == set()


def test_only_frames_that_went_to_the_cloud_are_kept_where_that_is_asked(tmp_path: Path) -> None:
    with Store(tmp_path, StorageSettings(archive="1MB, exits: none")) as store:
        assert not store.archive.wants(record("exit", final=True), SAID)
        put_and_answer(store, "answered")
    assert frame_files(tmp_path, "archive") == {"answered"}


def test_the_oldest_and_least_interesting_go_first(tmp_path: Path) -> None:
    now = [0.0]
    clocks = {"steady": lambda: now[0], "clock": lambda: 5e8, "boot_id": "boot"}
    with Store(tmp_path, StorageSettings(archive="8kB, 90 days"), **clocks) as store:  # type: ignore[arg-type]
        put_and_answer(store, "disagreed", disagreed=True)
        put_and_answer(store, "agreed")
        store.exit(record("exit", final=True), item("exit"))
        for day in range(1, 12):
            now[0] = day * DAY_S
            store.exit(record(f"d{day:02d}", final=True), item(f"d{day:02d}"))
            assert store.flush()
        kept = sorted(frame_files(tmp_path, "archive"))
        assert store.archive.size_bytes <= 8_000
        assert kept[-1] == "disagreed" and "exit" not in kept and "agreed" not in kept
        assert kept[:-1] == [f"d{day:02d}" for day in range(12 - len(kept[:-1]), 12)]
        assert store.archive.read("exit") is None
        entry = store.journal.entry("exit")
        assert entry is not None and (entry.picture, entry.picture_bytes > 1000) == (None, True)


def test_pictures_leave_when_their_days_are_over(tmp_path: Path) -> None:
    now = [0.0]
    clocks = {"steady": lambda: now[0], "clock": lambda: 5e8, "boot_id": "boot"}
    with Store(tmp_path, StorageSettings(archive="1MB, 30 days"), **clocks) as store:  # type: ignore[arg-type]
        put_and_answer(store, "old", disagreed=True)
        store.flush()
        now[0] = 31 * DAY_S
        put_and_answer(store, "new")
        assert store.flush() and store.flush()
        assert frame_files(tmp_path, "archive") == {"new"}


def test_what_waits_comes_first_on_a_disk_that_is_nearly_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store(tmp_path, StorageSettings(archive="1MB")) as store:
        for number in range(10):
            store.exit(record(f"e{number}", final=True), item(f"e{number}"))
        store.flush()
        monkeypatch.setattr(module, "free_bytes", lambda _: 80_000 - store.archive.size_bytes)
        assert store.archive.make_room(10_000)
        assert 0 < store.archive.size_bytes < 5_000
        store.exit(record("late", final=True), item("late"))
        assert store.journal.get("late") is not None
        assert "late" not in frame_files(tmp_path, "archive")


def test_a_lost_table_knows_the_pictures_again(tmp_path: Path) -> None:
    settings = StorageSettings(archive="1MB")
    with Store(tmp_path, settings) as store:
        store.exit(record("exit", final=True), item("exit"))
        put_and_answer(store, "answered")
    (tmp_path / "state.db").unlink()
    with Store(tmp_path, settings) as store:
        assert store.archive.read("exit") == item("exit").image
        assert len(store.spool) == 0
        exited, answered = store.journal.get("exit"), store.journal.get("answered")
        assert exited is not None and (exited.label, exited.final) == ("fox", True)
        assert answered is not None and (answered.label, answered.reason) == ("fox", Reason.DAMAGED)


@pytest.mark.parametrize(
    "wrong",
    [{"archive": "2"}, {"archive": "2 gallons"}, {"archive": 2}, {"durable": "now"}],
)
def test_settings_that_cannot_be_used_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=rf"expected (an )?{next(iter(wrong))}"):
        StorageSettings(**wrong)  # type: ignore[arg-type]
