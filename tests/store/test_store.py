"""The store: one table, and its views agree."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from queue import SimpleQueue

import pytest
from store_parts import cloud, device, item, record

from edge_sdk.config import StorageSettings
from edge_sdk.errors import StorageError
from edge_sdk.store.schema import FrameRecord, State
from edge_sdk.store.store import Store

ONE, TWO = "1" * 32, "2" * 32


def test_a_frame_waits_and_is_in_the_journal_at_once(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.spool.put(item(ONE), record(ONE))
        assert store.spool.ids() == (ONE,)
        entry = store.journal.entry(ONE)
        assert entry is not None
        assert (entry.state, entry.answer.final) == (State.WAITING, False)


def test_an_answer_and_the_frames_leaving_are_one(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.spool.put(item(ONE), record(ONE))
        assert store.spool.answer(cloud(ONE))
        assert not store.spool.answer(cloud(ONE))  # it comes twice: it is counted once
        assert store.spool.ids() == ()
    with Store(tmp_path) as store:
        assert store.spool.ids() == ()
        entry = store.journal.entry(ONE)
        assert entry is not None
        assert (entry.answer, entry.device is not None) == (cloud(ONE), True)


def test_an_exit_is_in_the_journal_after_a_restart(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.exit(FrameRecord(device(TWO)))
        assert store.flush()
        assert store.fault is None
    with Store(tmp_path) as store:
        assert store.journal.get(TWO) == device(TWO)


def test_a_folder_has_one_store_at_a_time(tmp_path: Path) -> None:
    with Store(tmp_path), pytest.raises(StorageError, match="this process has it open already"):
        Store(tmp_path)
    Store(tmp_path).close()


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="expected a folder"):
        Store(tmp_path / "file")


def test_frames_wait_on_the_disk_without_a_sync_where_a_time_is_given(tmp_path: Path) -> None:
    with Store(tmp_path, StorageSettings(durable="1s")) as store:
        store.spool.put(item(ONE), record(ONE))
    with Store(tmp_path) as store:
        assert store.spool.ids() == (ONE,)


def test_a_disk_that_is_full_when_a_start_commits_ends_no_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store(tmp_path) as store:
        store.spool.put(item(ONE), record(ONE))

    def full(*_: object) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    monkeypatch.setattr("edge_sdk.store.store.agree", full)
    with Store(tmp_path) as store:
        assert store.spool.ids() == (ONE,)


def test_damage_that_a_start_meets_ends_no_start(tmp_path: Path) -> None:
    """The index of ids is damaged, and a file without a row makes the start look into it."""
    with Store(tmp_path) as store:
        for number in range(200):
            store.exit(FrameRecord(device(f"{number:032x}")))
        store.flush()
        connection = store._table._database.connection
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        sql = "SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_frames_1'"
        (page,) = connection.execute(sql).fetchone()
        (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
        store.spool.put(item(ONE), record(ONE))
        kept = (tmp_path / "frames" / f"{ONE}.frame").read_bytes()
        store.spool.ack(ONE)
    (tmp_path / "frames" / f"{ONE}.frame").write_bytes(kept)
    with (tmp_path / "state.db").open("r+b") as file:
        file.seek((page - 1) * page_bytes)
        file.write(b"\xa5" * page_bytes)
    with Store(tmp_path) as store:
        assert store.journal.get(f"{7:032x}") is not None
        assert (tmp_path / "state.db.damaged").exists()


def rows(folder: Path) -> int:
    """Frames in the table, as another process sees it."""
    with closing(sqlite3.connect(folder / "state.db")) as connection:
        return int(connection.execute("SELECT count(*) FROM frames").fetchone()[0])


def test_what_repeats_the_last_word_waits_for_others_and_is_written_with_them(tmp_path: Path) -> None:
    with Store(tmp_path, flush_interval_s=0.001) as store:
        commits = record_commits(store)
        store.exit(FrameRecord(device(ONE)), repeats=True)
        assert (rows(tmp_path), store.journal.get(ONE)) == (0, device(ONE))  # who asks the store itself is told at once
        store.exit(FrameRecord(device(TWO)), repeats=True)
        commits.get_nowait()  # of the question
        assert commits.empty() and rows(tmp_path) == 1
        store.exit(FrameRecord(device("3" * 32)))
        commits.get(timeout=60)
        assert rows(tmp_path) == 3


def test_what_repeats_the_last_word_waits_no_longer_than_the_setting_says(tmp_path: Path) -> None:
    with Store(tmp_path, StorageSettings(repeats_s=0.01), flush_interval_s=0.001) as store:
        commits = record_commits(store)
        store.exit(FrameRecord(device(ONE)), repeats=True)
        commits.get(timeout=60)
        assert rows(tmp_path) == 1
    with Store(tmp_path, StorageSettings(repeats_s=0), flush_interval_s=0.001) as store:
        commits = record_commits(store)
        store.exit(FrameRecord(device(TWO)), repeats=True)
        commits.get(timeout=60)
        assert rows(tmp_path) == 2


def test_many_that_repeat_the_last_word_are_written_before_their_time(tmp_path: Path) -> None:
    with Store(tmp_path, flush_interval_s=0.001) as store:
        commits = record_commits(store)
        for number in range(256):
            store.exit(FrameRecord(device(f"{number:032}")), repeats=True)
        commits.get(timeout=60)
        assert rows(tmp_path) == 256


def record_commits(store: Store) -> SimpleQueue[int]:
    """Something each time that the store has written rows."""
    commits: SimpleQueue[int] = SimpleQueue()
    table = store._table
    after = table._after

    def written() -> None:
        after()
        if rows(table.folder):
            commits.put(rows(table.folder))

    table._after = written
    return commits
