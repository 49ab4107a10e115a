"""What was answered: written, found again, bounded."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from store_parts import NOON, cloud, device, item, record

from edge_sdk.config import StorageSettings
from edge_sdk.errors import ConfigError, StorageError
from edge_sdk.store.journal import Journal, JournalEntry
from edge_sdk.store.schema import FrameRecord, State
from edge_sdk.store.store import Store
from edge_sdk.types import Answer, Origin, Reason


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path, flush_interval_s=3600.0) as store:
        yield store


def exits(store: Store, *frame_ids: str, label: str | None = "fox") -> None:
    for frame_id in frame_ids:
        store.exit(FrameRecord(device(frame_id, label)))


def only(store: Store) -> JournalEntry:
    (entry,) = store.journal.query()
    return entry


def test_an_answer_comes_back_as_it_was_after_a_restart(tmp_path: Path) -> None:
    zone = timezone(timedelta(hours=-3, minutes=-30))
    answer = Answer(
        "a", datetime(2026, 6, 1, 1, 2, 3, 4, zone), "cam", None, 0.0, Origin.DEVICE, True, Reason.COMPUTE_SPENT
    )
    with Store(tmp_path) as store:
        store.exit(FrameRecord(answer, truth="fox", note="a note"))
    with Store(tmp_path) as store:
        got = store.journal.get("a")
        assert got == answer
        assert got is not None and got.captured_at.utcoffset() == answer.captured_at.utcoffset()
        assert only(store) == JournalEntry(answer, answer, None, "fox", "a note")
        assert store.journal.get("b") is None


def test_a_frame_s_whole_story_stands_in_one_row(store: Store) -> None:
    store.spool.put(item("a"), record("a", truth="deer"))
    waiting = only(store)
    assert waiting == JournalEntry(
        answer=device("a", final=False),
        device=device("a", final=False),
        cloud=None,
        truth="deer",
        note="",
        state=State.WAITING,
        model="trailcam 2",
        top_k=(("fox", 0.5), ("deer", 0.25)),
        gain=0.5,
        trigger="motion",
        event="e1",
        picture="frames/a.frame",
        picture_bytes=store.spool.size_bytes,
    )
    store.spool.answer(cloud("a"), top_k=(("deer", 0.9),), model="eva02")
    assert only(store) == replace(
        waiting,
        answer=cloud("a"),
        cloud=cloud("a"),
        state=State.ANSWERED,
        picture=None,
        cloud_model="eva02",
        cloud_top_k=(("deer", 0.9),),
    )


def test_the_exit_of_the_cloud_s_answer_is_kept(store: Store, tmp_path: Path) -> None:
    store.spool.put(item("a"), record("a"))
    said = replace(cloud("a"), exit="blocks.3")
    store.spool.answer(said, model="eva02")
    entry = only(store)
    assert entry.answer == entry.cloud == said and entry.device.exit == ""


def test_a_table_from_before_there_were_exits_goes_on(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.spool.put(item("a"), record("a"))
        store.spool.answer(cloud("a"), model="eva02")
        store.spool.put(item("b"), record("b"))
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        connection.execute("ALTER TABLE frames DROP COLUMN cloud_exit")
        connection.execute("PRAGMA user_version = 10")
    said = replace(cloud("b"), exit="big model")
    with Store(tmp_path) as store:
        store.spool.answer(said, model="eva02")
        assert [store.journal.get(frame_id) for frame_id in "ab"] == [cloud("a"), said]


def test_a_refusal_makes_the_device_s_answer_final_and_keeps_the_truth(store: Store) -> None:
    store.spool.put(item("a"), record("a", truth="fox"))
    store.spool.finish("a", Reason.REFUSED, "no JPEG")
    entry = only(store)
    assert entry.answer == replace(device("a", final=False), final=True, reason=Reason.REFUSED)
    assert (entry.truth, entry.note, entry.state, entry.cloud) == ("fox", "no JPEG", State.FINAL, None)


def test_late_duplicates_change_nothing(store: Store) -> None:
    exits(store, "a")
    before = only(store)
    exits(store, "a", label="boar")
    assert only(store) == before
    assert not store.spool.answer(cloud("a"))
    assert only(store) == before


def test_queries(store: Store) -> None:
    for minute in range(5):
        answer = device(f"f{minute}", "fox" if minute % 2 else "boar", minute=minute)
        store.exit(FrameRecord(answer))
    for minute in (5, 6):
        store.spool.put(item(f"f{minute}"), FrameRecord(device(f"f{minute}", "fox", final=False, minute=minute)))
    store.spool.answer(cloud("f6"))

    def ids(**conditions: object) -> list[str]:
        return [entry.answer.frame_id for entry in store.journal.query(**conditions)]  # type: ignore[arg-type]

    assert ids() == ["f0", "f1", "f2", "f3", "f4", "f5", "f6"]
    assert ids(since=NOON + timedelta(minutes=2), until=NOON + timedelta(minutes=4)) == ["f2", "f3"]
    assert ids(label="fox") == ["f1", "f3", "f5"]
    assert ids(label="deer") == ids(origin=Origin.CLOUD) == ids(reason=Reason.CLOUD) == ["f6"]
    assert ids(final=False) == ids(reason=Reason.UNSURE) == ["f5"]
    assert ids(label="boar", final=True, limit=1) == ["f0"]
    assert ids(newest_first=True, limit=2) == ["f6", "f5"]
    assert ids(limit=0) == []
    assert store.journal.counts() == {"boar": 3, "fox": 3, "deer": 1}
    assert store.journal.device_confidences(3) == [(0.5, False)] * 3
    with pytest.raises(ConfigError, match="expected since with a time zone; got the naive 2026-06-01T12:00:00"):
        ids(since=NOON.replace(tzinfo=None))


def test_a_query_left_half_way_does_not_hold_up_writing(store: Store) -> None:
    exits(store, *(f"f{number}" for number in range(1000)))
    entries = store.journal.query()
    next(entries)
    exits(store, "more")
    assert store.flush()
    assert sum(1 for _ in entries) == 999


def test_a_source_that_is_no_utf8_is_written_with_escapes(store: Store) -> None:
    source = "füchse/" + b"fuchs\xfc.jpg".decode("utf-8", "surrogateescape")
    answer = Answer("a", NOON, source, "fox", 0.5, Origin.DEVICE, True, Reason.CONFIDENT)
    store.exit(FrameRecord(answer, truth=source))
    assert only(store).answer.source == only(store).truth == r"füchse/fuchs\udcfc.jpg"


def test_answers_without_a_label_are_counted(store: Store) -> None:
    exits(store, "a", label=None)
    assert store.journal.counts() == {None: 1}


def test_an_answer_is_committed_without_being_asked(tmp_path: Path) -> None:
    with Store(tmp_path, flush_interval_s=0.001) as store, closing(sqlite3.connect(tmp_path / "state.db")) as reader:
        exits(store, "a")
        while reader.execute("SELECT count(*) FROM frames").fetchone() != (1,):
            threading.Event().wait(0.01)


def test_the_first_rows_go_beyond_the_limit(tmp_path: Path) -> None:
    with Store(tmp_path, StorageSettings(journal_rows=10)) as store:
        for number in range(25):
            exits(store, f"f{number:02d}")
            store.flush()
        assert [entry.answer.frame_id for entry in store.journal.query()] == [f"f{number}" for number in range(15, 25)]


def test_frames_that_wait_are_kept_beyond_the_limits(tmp_path: Path) -> None:
    with Store(tmp_path, StorageSettings(journal_rows=5)) as store:
        store.spool.put(item("waits"))
        for number in range(20):
            exits(store, f"f{number:02d}")
            store.flush()
        kept = {entry.answer.frame_id for entry in store.journal.query()}
        assert kept == {"waits", *(f"f{n}" for n in range(16, 20))}
        assert store.spool.ids() == ("waits",)


def test_the_file_is_bounded_in_bytes(tmp_path: Path) -> None:
    with Store(tmp_path, StorageSettings(journal_bytes=200_000), flush_interval_s=3600.0) as store:
        for number in range(3_000):
            exits(store, f"{number:032d}")
            if number % 50 == 0:
                store.flush()
        kept = [entry.answer.frame_id for entry in store.journal.query()]
    assert (tmp_path / "state.db").stat().st_size < 260_000
    assert 300 < len(kept) < 2_000
    assert kept == [f"{number:032d}" for number in range(3_000 - len(kept), 3_000)]


def test_old_frames_leave_by_the_store_s_clock(tmp_path: Path) -> None:
    now = [1000.0]
    settings = StorageSettings(journal_age_s=100)
    with Store(tmp_path, settings, steady=lambda: now[0], clock=lambda: now[0] * 1e6, boot_id="boot") as store:
        exits(store, "old")
        store.spool.put(item("waits"))
        store.flush()
        now[0] += 101
        exits(store, "new")
        assert {entry.answer.frame_id for entry in store.journal.query()} == {"waits", "new"}


def test_threads_write_together(tmp_path: Path) -> None:
    with Store(tmp_path, StorageSettings(durable="1ms")) as store:

        def write(origin: str) -> None:
            for number in range(200):
                store.spool.put(item(f"{origin}{number}", size=10))
                if number % 50 == 0:
                    store.flush()
                store.spool.answer(cloud(f"{origin}{number}"))

        threads = [threading.Thread(target=write, args=(origin,)) for origin in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store.journal.counts() == {"deer": 600}


def test_another_process_may_read_meanwhile(store: Store, tmp_path: Path) -> None:
    exits(store, "a")
    assert store.flush()
    script = (
        "import sys; from pathlib import Path; from edge_sdk import Journal; print(Journal(Path(sys.argv[1])).counts())"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "{'fox': 1}"
    with Journal(tmp_path / "state.db") as journal:
        assert journal.counts() == {"fox": 1}


def test_a_folder_that_holds_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="expected the state folder of a device"):
        Journal(tmp_path)


def test_a_fault_is_told_kept_from_the_caller_and_mended(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as other:
        store._table._database.connection.execute("PRAGMA busy_timeout=0")
        other.execute("BEGIN EXCLUSIVE")
        exits(store, "a")
        assert not store.flush()
        assert store.fault is not None and "cannot write" in store.fault
        exits(store, "b")
        assert not store.flush()
        other.execute("ROLLBACK")
        assert store.flush()
        assert store.fault is None
        assert store.journal.counts() == {"fox": 2}
    assert caplog.text.count("cannot write") == 1


def test_what_waits_to_be_written_is_bounded_and_keeps_the_latest(store: Store, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as other:
        store._table._database.connection.execute("PRAGMA busy_timeout=0")
        other.execute("BEGIN EXCLUSIVE")
        exits(store, *(f"f{number}" for number in range(10_200)))
        assert not store.flush()
        exits(store, *(f"f{number}" for number in range(10_200, 10_500)))
        assert not store.flush()
        other.execute("ROLLBACK")
        assert store.flush()
        assert store.journal.counts() == {"fox": 10_000}
        assert store.journal.get("f499") is None
        assert store.journal.get("f500") is not None


_WRITER = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from store_parts import device
from edge_sdk.store.schema import FrameRecord
from edge_sdk.store.store import Store
store = Store(Path(sys.argv[1]), flush_interval_s=3600.0)
start = int(sys.argv[3])
for number in range(start, start + 100_000):
    store.exit(FrameRecord(device(f"f{number}")))
    if number % 7 == 0 and store.flush():
        os.write(1, f"{number}\\n".encode())
"""


def test_what_was_flushed_survives_sigkill(tmp_path: Path) -> None:
    start = 0
    for seed in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path), str(Path(__file__).parents[1]), str(start)],
            stdout=subprocess.PIPE,
        )
        assert child.stdout is not None
        with child.stdout as pipe:
            said = [pipe.readline() for _ in range(random.Random(seed).randrange(1, 60))]
            child.kill()
            said += pipe.read().splitlines()
        child.wait()
        flushed = int(said[-1])
        with Store(tmp_path) as store:
            ids = {entry.answer.frame_id for entry in store.journal.query()}
        assert {f"f{number}" for number in range(start, flushed + 1)} <= ids
        start = flushed + 1000


def test_a_table_of_an_older_version_says_what_to_do(tmp_path: Path) -> None:
    with Store(tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / "state.db")) as connection:
        connection.execute("ALTER TABLE audit_counts DROP COLUMN causes")
        connection.execute("PRAGMA user_version = 9")
    with (
        Journal(tmp_path) as journal,
        pytest.raises(StorageError, match="start the device once, which takes it over"),
    ):
        journal.audits("any")
    with Store(tmp_path) as store:
        assert store.journal.audits("any").counts == ()
