"""What a start makes of what a stop, or a failing card, has left."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from store_parts import cloud, device, frame_files, item, record

from edge_sdk.errors import StorageError
from edge_sdk.store.recovery import NOT_THERE
from edge_sdk.store.schema import VERSION, FrameRecord, State
from edge_sdk.store.store import Store
from edge_sdk.types import Answer, Reason


def last_word(store: Store, frame_id: str) -> tuple[str | None, bool, Reason]:
    answer = store.journal.get(frame_id)
    assert answer is not None
    return answer.label, answer.final, answer.reason


def kill(folder: Path, copy: Path) -> Path:
    """A copy of the folder as it is now: what a kill at this moment would leave."""
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("*-shm"))
    return copy


def test_a_frame_whose_row_was_not_committed_is_taken_in_with_the_device_s_answer(tmp_path: Path) -> None:
    with Store(tmp_path / "a", flush_interval_s=3600.0) as store:
        store.spool.put(item("a"), record("a", truth="deer"))
        left = kill(tmp_path / "a", tmp_path / "b")
        before = store.journal.entry("a")
    with Store(left) as store:
        assert store.spool.ids() == ("a",)
        assert store.journal.entry("a") == before


def test_an_answer_that_was_not_committed_is_asked_for_again(tmp_path: Path) -> None:
    with Store(tmp_path / "a", flush_interval_s=3600.0) as store:
        store.spool.put(item("a"), record("a"))
        store.flush()
        store.spool.answer(cloud("a"))
        left = kill(tmp_path / "a", tmp_path / "b")
    with Store(left) as store:
        assert store.spool.ids() == ("a",)
        assert last_word(store, "a") == ("fox", False, Reason.UNSURE)


def test_a_file_whose_frame_has_its_answer_goes(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.spool.put(item("a"), record("a"))
        content = (tmp_path / "frames" / "a.frame").read_bytes()
        store.spool.answer(cloud("a"))
    (tmp_path / "frames" / "a.frame").write_bytes(content)
    with Store(tmp_path) as store:
        assert len(store.spool) == 0
        assert store.journal.get("a") == cloud("a")
        assert frame_files(tmp_path) == set()


def test_a_frame_that_waits_without_a_file_is_lost_and_says_so(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.spool.put(item("a"), record("a"))
    (tmp_path / "frames" / "a.frame").unlink()
    with Store(tmp_path) as store:
        entry = store.journal.entry("a")
        assert entry is not None
        assert (entry.state, entry.answer.reason, entry.note) == (State.LOST, Reason.DAMAGED, NOT_THERE)
        assert entry.answer.label == "fox"


@pytest.mark.parametrize("damage", [b"no database" * 1000, None])
def test_a_lost_table_is_rebuilt_from_the_frames_own_files(tmp_path: Path, damage: bytes | None) -> None:
    with Store(tmp_path) as store:
        for number in range(5):
            store.spool.put(item(f"f{number}", number / 10), record(f"f{number}"))
        size = store.spool.size_bytes
    (tmp_path / "frames" / "f2.frame").write_bytes(b"damaged too")
    picture = bytearray((tmp_path / "frames" / "f1.frame").read_bytes())
    picture[-1] ^= 1
    (tmp_path / "frames" / "f1.frame").write_bytes(picture)
    (tmp_path / "state.db").unlink()
    if damage is not None:
        (tmp_path / "state.db").write_bytes(damage)
    with Store(tmp_path) as store:
        assert store.spool.ids() == ("f4", "f3", "f0")
        assert store.spool.size_bytes == size * 3 // 5
        assert last_word(store, "f4") == ("fox", False, Reason.UNSURE)
        assert last_word(store, "f1") == ("fox", True, Reason.DAMAGED)
        assert last_word(store, "f2") == (None, True, Reason.DAMAGED)
        assert store.journal.damaged() == 2
    assert frame_files(tmp_path, "damaged") == {"f1", "f2"}
    assert (tmp_path / "state.db.damaged").exists() == (damage is not None)


def test_a_table_damaged_while_open_is_rebuilt_and_writing_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with Store(tmp_path, flush_interval_s=3600.0) as store:
        for number in range(100):
            store.exit(FrameRecord(device(f"f{number}")))
        store.spool.put(item("waits"), record("waits"))
        store.flush()
        connection = store._table._database.connection
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA shrink_memory")
        with path.open("r+b") as file:
            file.seek(100)
            file.write(b"\xa5" * (path.stat().st_size - 100))
        store.exit(FrameRecord(device("after")))
        assert store.flush()
        assert store.journal.get("after") == device("after")
        assert last_word(store, "waits") == ("fox", False, Reason.UNSURE)
        assert store.spool.next() is not None
        assert store.journal.counts() == {"fox": 2}
    assert (tmp_path / "state.db.damaged").stat().st_size > 4096


def test_a_reader_that_meets_damage_has_the_table_rebuilt(tmp_path: Path) -> None:
    with Store(tmp_path, flush_interval_s=3600.0) as store:
        store.spool.put(item("waits"), record("waits"))
        store.flush()
        store._table._database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        content = (tmp_path / "state.db").read_bytes()
        (tmp_path / "state.db").write_bytes(content[:100] + b"\xa5" * (len(content) - 100))
        with pytest.raises(StorageError, match="cannot read"):
            store.journal.counts()
        assert store.journal.counts() == {"fox": 1}


def damage_schema(folder: Path, store: Store) -> None:
    """The table's description is gone; the rows can be read page by page."""
    store.flush()
    store._table._database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = (folder / "state.db").read_bytes()
    (folder / "state.db").write_bytes(content[:100] + b"\xa5" * 924 + content[1024:])


def test_a_row_whose_last_word_is_gone_does_not_wait_after_a_rebuild(tmp_path: Path) -> None:
    with Store(tmp_path, flush_interval_s=3600.0) as store:
        for name in ("waits", "answered"):
            store.spool.put(item(name), record(name))
        damage_schema(tmp_path, store)  # with both rows as they are now
        (tmp_path / "frames" / "answered.frame").unlink()  # as after an answer
        with pytest.raises(StorageError, match="cannot read"):
            store.journal.counts()
        assert last_word(store, "answered") == ("fox", True, Reason.DAMAGED)
        entry = store.journal.entry("answered")
        assert entry is not None and entry.note == NOT_THERE
        assert last_word(store, "waits")[1] is False


def test_a_frame_that_is_being_written_is_left_alone_by_a_rebuild_and_goes_at_a_start(tmp_path: Path) -> None:
    with Store(tmp_path, flush_interval_s=3600.0) as store:
        store.spool.put(item("whole"), record("whole"))
        cut = tmp_path / "frames" / "cut.partial"
        cut.write_bytes((tmp_path / "frames" / "whole.frame").read_bytes()[:100])
        damage_schema(tmp_path, store)
        with pytest.raises(StorageError, match="cannot read"):
            store.journal.counts()
        assert cut.exists() and store.journal.counts() == {"fox": 1}
    with Store(tmp_path) as store:
        assert not cut.exists() and not list((tmp_path / "damaged").iterdir())
        assert store.spool.ids() == ("whole",)


@pytest.mark.parametrize("page", [2, 5, 9])
def test_of_a_table_with_a_zeroed_page_the_other_rows_are_kept(tmp_path: Path, page: int) -> None:
    ids = [f"{number:032x}" for number in range(800)]
    with Store(tmp_path, flush_interval_s=3600.0) as store:
        for frame_id in ids:
            store.exit(FrameRecord(device(frame_id)))
    pages = (tmp_path / "state.db").stat().st_size // 4096
    with (tmp_path / "state.db").open("r+b") as file:
        file.seek(pages * page // 10 * 4096)
        file.write(bytes(4096))
    answers: list[Answer] = []
    with Store(tmp_path) as store:
        for _ in range(2):
            try:
                answers = [entry.answer for entry in store.journal.query()]
            except StorageError:
                continue
        assert len(answers) > 700
        store.exit(FrameRecord(device("after")))
        assert store.flush()
        assert store.journal.get("after") is not None


@pytest.mark.parametrize("column", ["state", "reason", "top_k", "captured_us"])
def test_a_damaged_row_is_told_as_such_and_hides_no_other(tmp_path: Path, column: str) -> None:
    with Store(tmp_path, flush_interval_s=3600.0) as store:
        store.exit(record("a", final=True))
        store.exit(record("b", final=True))
        store.flush()
        with store._table.transaction() as connection:
            connection.execute(f"UPDATE frames SET {column} = 'xx\ufffd' WHERE frame_id = 'a'")
        known = {entry.answer.frame_id: entry.answer for entry in store.journal.query()}
        assert (known["a"].label, known["a"].final, known["a"].reason) == ("fox", True, Reason.DAMAGED)
        assert known["b"] == device("b")
        assert not (tmp_path / "state.db.damaged").exists()


def test_no_fault_of_a_card_stops_the_store(tmp_path: Path) -> None:
    """Zeroed and torn pages, and truncated files, anywhere: it starts, and what waits is there."""
    with Store(tmp_path / "whole", flush_interval_s=3600.0) as store:
        for number in range(200):
            store.exit(FrameRecord(device(f"{number:032x}")))
        for number in range(5):
            store.spool.put(item(f"w{number}"), record(f"w{number}"))
    for seed in range(60):
        chance = random.Random(seed)
        folder = tmp_path / str(seed)
        shutil.copytree(tmp_path / "whole", folder)
        path, size = folder / "state.db", (folder / "state.db").stat().st_size
        at = chance.randrange(size // 4096 + 1) * 4096
        with path.open("r+b") as file:
            if seed % 3 == 0:
                os.truncate(path, at)
            else:
                file.seek(at + 2048 * (seed % 3 - 1))
                file.write(bytes(min(4096 - 2048 * (seed % 3 - 1), size - at)) if at < size else b"")
        with Store(folder) as store:
            assert set(store.spool.ids()) == {f"w{number}" for number in range(5)}
            store.exit(FrameRecord(device("after")))
            assert store.flush() or store.flush()
            assert store.spool.next() is not None
        shutil.rmtree(folder)


def test_the_clock_goes_on_where_only_the_files_are_left(tmp_path: Path) -> None:
    now = [1000.0]
    with Store(tmp_path, steady=lambda: now[0], clock=lambda: 5e8, boot_id="boot") as store:
        now[0] += 5000
        store.spool.put(item("a"))
    (tmp_path / "state.db").unlink()
    with Store(tmp_path, steady=lambda: now[0], clock=lambda: 5e8, boot_id="boot") as store:
        store.spool.put(item("b"))
        assert store.spool.ids() == ("a", "b")
        assert store._table.now_ns() >= 5_000_000_000_000


def test_a_newer_version_s_table_is_refused(tmp_path: Path) -> None:
    Store(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        connection.execute("PRAGMA user_version=99")
    with pytest.raises(StorageError, match=rf"expected schema {VERSION} or older .* got 99, of a newer edge_sdk"):
        Store(tmp_path)


def test_a_folder_that_is_held_is_refused_and_says_by_whom(tmp_path: Path) -> None:
    with Store(tmp_path), pytest.raises(StorageError, match="this process has it open already"):
        Store(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="expected a folder that can be written"):
        Store(tmp_path / "file")
