"""Ledger and store on a disk that is truly full: a small tmpfs in a mount namespace of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_disk import run_on_a_small_disk


def test_spool(tmp_path: Path) -> None:
    run_on_a_small_disk(
        tmp_path,
        """
from store_parts import cloud, frame_files, item, record
from edge_sdk.durable.ballast import Ballast
from edge_sdk.errors import StorageError
from edge_sdk.store.store import Store
ballast = Ballast(folder / "ballast")
ballast.keep()
with Store(folder, ballast=ballast, flush_interval_s=3600.0) as store:
    spool, stored = store.spool, [f"{number:03d}" for number in range(60)]
    for name in stored:
        assert spool.put(item(name, size=20_000)) == ()
    fill_up()
    for number in range(3):
        try:
            spool.put(item("refused", size=20_000))
        except StorageError:
            pass
        else:
            raise AssertionError("put said nothing")
    assert spool.ids() == tuple(stored) and len(spool) == len(stored)
    assert frame_files(folder) == set(stored)
    for name in stored[:10]:
        assert spool.answer(cloud(name))
    assert store.flush() and store.fault is None  # the ballast is for this
    assert frame_files(folder) == set(stored[10:])
    make_room()
    assert spool.put(item("later")) == ()
with Store(folder) as store:
    assert set(store.spool.ids()) == {*stored[10:], "later"} == frame_files(folder)
    assert store.journal.counts()["deer"] == 10
    size = store.spool.size_bytes
assert size == sum(path.stat().st_size for path in (folder / "frames").iterdir())
""",
        megabytes=4,
    )


def test_answers_wait_in_memory_where_nothing_is_left(tmp_path: Path) -> None:
    run_on_a_small_disk(
        tmp_path,
        """
from store_parts import device
from edge_sdk.store.schema import FrameRecord
from edge_sdk.store.store import Store
with Store(folder, flush_interval_s=3600.0) as store:
    store.exit(FrameRecord(device("before")))
    assert store.flush()
    fill_up()
    for number in range(3000):
        store.exit(FrameRecord(device(f"f{number}")))
    assert not store.flush()
    assert "full" in store.fault, store.fault
    assert store.journal.get("before") == device("before")
    assert store.journal.get("f0") is None
    make_room()
    assert store.flush()
    assert store.fault is None
    assert store.journal.counts() == {"fox": 3001}
""",
    )


def test_ledger(tmp_path: Path) -> None:
    run_on_a_small_disk(
        tmp_path,
        """
from edge_sdk.budget.limits import Budget, Resource
from edge_sdk.budget.ledger import Ledger
path, budget = folder / "ledger.db", Budget(10**9, 86_400.0)
with Ledger(path, budgets=[budget]) as ledger:
    fill_up()
    charged = 0
    while ledger.try_spend(upload=50_000):
        charged += 50_000
    assert charged < 10**9
    assert "full" in ledger.fault, ledger.fault
    assert ledger.snapshot().spent(Resource.UPLOAD) == charged
    assert ledger.wait_s(upload=50_000) > 0
    ledger.count_frame(exited=True, macs=1)
    assert not ledger.flush()
    make_room()
    assert ledger.try_spend(upload=50_000)
    assert ledger.fault is None
    assert ledger.wait_s(upload=50_000) == 0
with Ledger(path, budgets=[budget]) as ledger:
    assert ledger.snapshot().spent(Resource.UPLOAD) == charged + 50_000
    assert ledger.snapshot().frames == 1
""",
    )


def test_of_a_damaged_table_what_fits_is_saved(tmp_path: Path) -> None:
    run_on_a_small_disk(
        tmp_path,
        """
from store_parts import device, item, record
from edge_sdk.durable.ballast import Ballast
from edge_sdk.store.schema import FrameRecord
from edge_sdk.store.store import Store
ballast = Ballast(folder / "ballast")
with Store(folder, flush_interval_s=3600.0) as store:
    store.spool.put(item("waits"), record("waits"))
    for number in range(4_000):
        store.exit(FrameRecord(device(f"f{number}")))
        if number % 1000 == 0:
            assert store.flush()
damage(folder / "state.db")
assert ballast.keep()
fill_up()
with Store(folder, ballast=ballast) as store:
    kept = store.journal.counts()["fox"]
    assert 200 < kept < 4_001, kept
    assert store.spool.ids() == ("waits",)
    assert store.journal.get("f3999") is not None and store.journal.get("f0") is None
""",
        megabytes=8,
    )


@pytest.mark.parametrize("damaged", ["", "ledger.db", "state.db"])
def test_a_device_starts_on_a_full_disk_says_so_and_recovers(tmp_path: Path, damaged: str) -> None:
    run_on_a_small_disk(
        tmp_path,
        f"""
import logging
from classifier_parts import NEVER, frame
from edge_sdk import EdgeClassifier, Reason
said = []
class Hearer(logging.Handler):
    def emit(self, record):
        said.append(record.getMessage())
logging.getLogger().addHandler(Hearer())
with EdgeClassifier(state_dir=folder, threshold=NEVER) as edge:
    first = edge.classify(frame(0))
    assert not first.final
if {damaged!r}:
    (folder / {damaged!r}).write_bytes(b"no database" * 100)
fill_up()
with EdgeClassifier(state_dir=folder, threshold=NEVER) as edge:
    answers = [edge.classify(frame(number)) for number in range(1, 20)]
    assert all(answer.label for answer in answers)
    assert edge.waiting == 1, edge.waiting
    assert any("full" in word or "No space" in word for word in said), said
    assert {{answer.reason for answer in answers}} == {{Reason.EVICTED}} and all(answer.final for answer in answers)
    assert any("the device's answer on" in word and "No space" in word for word in said), said
    make_room()
    assert edge.journal.flush()
    later = edge.classify(frame(20))
    assert not later.final and edge.waiting == 2, (later, said)
    assert edge.journal.flush()
    known = {{entry.answer.frame_id for entry in edge.journal.query()}}
    assert known == {{answer.frame_id for answer in (first, *answers, later)}}
    assert (folder / "ballast").stat().st_size == 1 << 20
with EdgeClassifier(state_dir=folder, threshold=NEVER) as edge:
    assert edge.waiting == 2
""",
        megabytes=4,
    )


def test_a_very_first_start_on_a_full_disk_answers_and_writes_it_down_later(tmp_path: Path) -> None:
    run_on_a_small_disk(
        tmp_path,
        """
from classifier_parts import ALWAYS, NEVER, frame
from edge_sdk import EdgeClassifier, Reason
fill_up()
with EdgeClassifier(state_dir=folder, threshold=NEVER, budget="5MB/day", compute_budget="1TMAC/day") as edge:
    spent = edge.classify(frame(0))
    assert spent.reason is Reason.COMPUTE_SPENT, spent  # nothing can be charged
with EdgeClassifier(state_dir=folder, threshold=NEVER, budget="5MB/day") as edge:
    answers = [edge.classify(frame(number)) for number in range(5)]
    assert {answer.reason for answer in answers} == {Reason.EVICTED}
    assert edge.waiting == 0
    make_room()
    assert edge.journal.flush()
    assert len(list(edge.journal.query())) == 5
    last = edge.classify(frame(6))
    assert not last.final, last
with EdgeClassifier(state_dir=folder, threshold=NEVER) as edge:
    assert edge.waiting == 1
    assert edge.lifetime_usage.frames == 6
""",
        megabytes=4,
    )


def test_a_ledger_and_a_table_damaged_on_a_full_disk_are_begun_anew_when_there_is_room(tmp_path: Path) -> None:
    run_on_a_small_disk(
        tmp_path,
        """
from store_parts import cloud, item
from edge_sdk.budget.limits import Budget
from edge_sdk.budget.ledger import Ledger
from edge_sdk.errors import StorageError
from edge_sdk.store.store import Store

def spoil(database):
    database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.connection.execute("PRAGMA shrink_memory")
    with database.path.open("r+b") as file:
        file.seek(100)
        file.write(b"\\xa5" * (database.path.stat().st_size - 100))

with Store(folder) as store, Ledger(folder / "ledger.db", budgets=[Budget(10**9, 86_400.0)]) as ledger:
    for number in range(5):
        store.spool.put(item(f"f{number}", number / 10))
    assert store.flush() and ledger.flush()
    spoil(store._table._database)
    spoil(ledger._database)
    fill_up()
    store.spool.answer(cloud("f0"))
    for _ in range(3):
        assert store.spool.next().frame_id == "f4"  # the order stands in memory
        assert not ledger.try_spend(upload=10**6)
        assert not store.flush()
        assert "full" in ledger.fault or "No space" in ledger.fault, ledger.fault
        try:
            store.spool.put(item("refused"))
        except StorageError:
            pass
        else:
            raise AssertionError("put said nothing")
    make_room()
    assert not ledger.try_spend(upload=10**6)
    assert ledger.flush() and ledger.fault is None
    assert not ledger.try_spend(upload=10**6)
    assert store.flush()
    assert store.journal.counts() == {"deer": 1, None: 4}
    store.spool.put(item("later"))
    assert len(store.spool) == 5
""",
        megabytes=4,
    )


def test_the_table_leaves_room_for_its_own_rebuilding(tmp_path: Path) -> None:
    run_on_a_small_disk(
        tmp_path,
        """
import os
from store_parts import device
from edge_sdk.store.schema import FrameRecord
from edge_sdk.store.store import Store
total = os.statvfs(folder).f_blocks * os.statvfs(folder).f_frsize
with Store(folder, flush_interval_s=3600.0) as store:
    for number in range(12_000):
        store.exit(FrameRecord(device(f"{number:032d}")))
        if number % 500 == 0:
            store.flush()
    store.flush()
    assert store.journal.get(f"{11_999:032d}") is not None
assert (folder / "state.db").stat().st_size < total * 0.3, ((folder / "state.db").stat().st_size, total)
""",
    )


def test_an_archive_by_its_rule_on_a_full_disk_gives_way_and_keeps_its_count(tmp_path: Path) -> None:
    run_on_a_small_disk(
        tmp_path,
        """
from dataclasses import replace
import numpy as np
from store_parts import cloud, frame_files, item, record
from edge_sdk.config import StorageSettings
from edge_sdk.store.store import Store
from edge_sdk.types import Prediction

def offer(store, number, empty):
    name, chances = f"e{number}", np.array([empty, 1 - empty], np.float32)
    word = replace(record(name, final=True), event=f"v{number // 4}")
    wanted = store.archive.wants(word, Prediction(("empty", "fox"), chances))
    store.exit(word, replace(item(name, size=30_000), probabilities=chances) if wanted else None)

def agrees(store):
    sizes = {path.stem: path.stat().st_size for path in (folder / "archive").iterdir()}
    rows = {entry.answer.frame_id for entry in store.journal.query(archived=True)}
    assert rows <= set(sizes), rows - set(sizes)
    assert store.archive.size_bytes == sum(sizes.values()), (store.archive.size_bytes, sizes)

settings = StorageSettings(archive="100MB, exits: one per event")
with Store(folder, settings, emptiness=lambda chances: float(chances[0]), flush_interval_s=3600.0) as store:
    store.archive._least_free = 1 << 18
    for number in range(60):
        offer(store, number, 0.9 - number % 4 / 10)  # each frame is better than the former
        assert store.flush()
    kept = len(frame_files(folder, "archive"))
    assert 0 < kept <= 15
    agrees(store)
    fill_up()
    offer(store, 100, 0.5)  # there is no room for an exit
    assert "e100" not in frame_files(folder, "archive")
    store.spool.put(item("waits", size=60_000), record("waits"))  # the archive gives way to it
    assert len(frame_files(folder, "archive")) < kept and store.spool.ids() == ("waits",)
    agrees(store)
    make_room()
    for number in range(200, 204):
        offer(store, number, 0.5 - number % 4 / 10)
    assert store.flush()
    agrees(store)
with Store(folder, settings) as store:
    agrees(store)
    assert store.spool.ids() == ("waits",) and "e203" in frame_files(folder, "archive")
""",
        megabytes=4,
    )
