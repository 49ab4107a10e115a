from __future__ import annotations

from pathlib import Path

import pytest
from store_parts import record

from edge_sdk.store import done_files
from edge_sdk.store.store import Store


def test_a_file_is_done_at_once_and_after_a_restart(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        done = store.done_files("trailcam 2")
        assert not done.contains("card/a.jpg 7")
        done.add("card/a.jpg 7")
        done.add("card/a.jpg 7")
        assert done.contains("card/a.jpg 7")
    with Store(tmp_path) as store:
        assert store.done_files("trailcam 2").contains("card/a.jpg 7")
        assert not store.done_files("trailcam 2").contains("card/a.jpg 8")
        assert not store.done_files("trailcam 3").contains("card/a.jpg 7")


def test_a_frame_of_a_file_has_one_id_for_ever(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        done = store.done_files("trailcam 2")
        frame_id = done.frame_id("card/\udcff.jpg 7")
        assert frame_id == store.done_files("trailcam 2").frame_id("card/\udcff.jpg 7")
        assert len({frame_id, done.frame_id("card/b.jpg 7"), done.frame_id("card/\udcff.jpg 7", "1")}) == 3
        assert not done.has_frame(frame_id)
        store.exit(record(frame_id, final=True))
        store.flush()
        assert done.has_frame(frame_id)


def test_the_oldest_are_forgotten_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(done_files, "MOST_FILES", 3)
    with Store(tmp_path) as store:
        for number in range(5):
            store.done_files("m").add(str(number))
        store.flush()
        assert [store.done_files("m").contains(str(number)) for number in range(5)] == [False, False, True, True, True]


def test_a_table_of_the_version_before_is_extended(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.exit(record("old", final=True))
        store.flush()
        with store._table.transaction() as connection:
            connection.execute("DROP TABLE done_files")
            connection.execute("PRAGMA user_version=1")
    with Store(tmp_path) as store:
        assert store.journal.get("old") is not None
        store.done_files("m").add("a")
        store.flush()
        assert store.done_files("m").contains("a")
