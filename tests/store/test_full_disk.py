"""Ledger, spool and journal on a disk that is truly full: a small tmpfs in a mount namespace of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_PREAMBLE = """
import os, sys
from pathlib import Path
folder = Path(sys.argv[1])
sys.path[:0] = [sys.argv[2], sys.argv[2] + "/../pipeline", sys.argv[2] + "/../link", sys.argv[2] + "/.."]

def fill_up():
    with open(folder / "filler", "wb", buffering=0) as file:
        for size in (4096, 512, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass

def make_room():
    (folder / "filler").unlink()

def damage(path):
    content = path.read_bytes()
    assert b"CREATE INDEX" in content
    with path.open("r+b") as file:
        file.seek(content.index(b"CREATE INDEX"))
        file.write(b"CREATE IMDEX")
"""


def run_on_a_small_disk(folder: Path, script: str, *, megabytes: int = 2) -> None:
    """Run `script` with a small tmpfs mounted at `folder`; skip where the system does not allow that."""
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare (Linux)")
    mount = ["unshare", "--mount", "--map-root-user", "sh", "-c"]
    if subprocess.run([*mount, f"mount -t tmpfs -o size=64k tmpfs {folder}"], capture_output=True).returncode:
        pytest.skip("needs the right to mount a tmpfs in a namespace")
    command = f'mount -t tmpfs -o size={megabytes}m tmpfs {folder} && exec "$0" -W error -c "$1" {folder} "$2"'
    done = subprocess.run(
        [*mount, command, sys.executable, _PREAMBLE + script, str(Path(__file__).parent)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_spool(tmp_path: Path) -> None:
    run_on_a_small_disk(
        tmp_path,
        """
from test_spool import Spool, StorageError, frame_files, item
directory = folder / "spool"
with Spool(directory) as spool:
    stored = []
    try:
        for number in range(1000):
            assert spool.put(item(f"{number:03d}", size=20_000)) == ()
            stored.append(f"{number:03d}")
    except StorageError as error:
        assert "cannot store frame" in str(error) and "full" in str(error) or "No space" in str(error), error
    assert 50 < len(stored) < 110
    fill_up()
    for number in range(3):
        try:
            spool.put(item("refused", size=20_000))
        except StorageError:
            pass
        else:
            raise AssertionError("put said nothing")
    assert spool.ids() == tuple(stored) and len(spool) == len(stored)
    assert frame_files(directory) == {f"{name}.frame" for name in stored}
    for name in stored[:10]:
        spool.ack(name)
        assert spool.next().frame_id not in stored[: stored.index(name) + 1]
    make_room()
    assert spool.put(item("later")) == ()
with Spool(directory) as spool:
    assert set(spool.ids()) == {*stored[10:], "later"}
    assert frame_files(directory) == {f"{name}.frame" for name in spool.ids()}
    size = spool.size_bytes
assert size == sum(path.stat().st_size for path in (directory / "frames").iterdir())
""",
    )


def test_spool_opens_on_a_full_disk_or_says_why_not(tmp_path: Path) -> None:
    run_on_a_small_disk(
        tmp_path,
        """
from test_spool import Spool, StorageError, item
with Spool(folder / "spool") as spool:
    spool.put(item("a"))
fill_up()
try:
    spool = Spool(folder / "spool")
except StorageError as error:
    assert str(folder) in str(error)
else:
    assert spool.next().frame_id == "a"
    spool.close()
make_room()
with Spool(folder / "spool") as spool:
    assert spool.ids() == ("a",)
""",
    )


def test_journal(tmp_path: Path) -> None:
    run_on_a_small_disk(
        tmp_path,
        """
from test_journal import Journal, device
with Journal(folder / "journal.db", flush_interval_s=3600.0) as journal:
    journal.write(device("before"))
    assert journal.flush()
    fill_up()
    for number in range(3000):
        journal.write(device(f"f{number}"))
    assert not journal.flush()
    assert "full" in journal.fault, journal.fault
    assert journal.get("before") == device("before")
    assert journal.get("f0") is None
    make_room()
    assert journal.flush()
    assert journal.fault is None
    assert journal.counts() == {"fox": 3001}
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


def test_the_journal_saves_what_it_holds_once_older_copies_are_gone(tmp_path: Path) -> None:
    run_on_a_small_disk(
        tmp_path,
        """
from test_journal import Journal, device
from edge_sdk.durable.copies import copies
path = folder / "journal.db"
with Journal(path) as journal:
    for number in range(200):
        journal.write(device(f"f{number}"))
damage(path)
for number in range(3):
    (folder / f"journal.db.damaged-{number}").write_bytes(bytes(200_000))
with open(folder / "filler", "wb") as file:
    file.write(bytes(2**22 - sum(one.stat().st_size for one in folder.iterdir()) - 550_000))
with Journal(path) as journal:
    assert journal.counts() == {"fox": 200}
assert len(copies(path)) == 1
""",
        megabytes=4,
    )


def test_the_journal_saves_what_fits_and_then_lets_the_damaged_copy_go(tmp_path: Path) -> None:
    run_on_a_small_disk(
        tmp_path,
        """
from test_journal import Journal, device
from edge_sdk.durable.copies import copies
from edge_sdk.durable.ballast import Ballast
path = folder / "journal.db"
reserve = Ballast(folder / "reserve")
with Journal(path) as journal:
    journal.write(device("waits", final=False))
    for number in range(12_000):
        journal.write(device(f"f{number}"))
        if number % 3000 == 0:
            assert journal.flush()
damage(path)
assert reserve.keep()
fill_up()
with Journal(path, reserve=reserve) as journal:
    kept = journal.counts()["fox"]
    assert 1000 < kept < 12_001, kept
    assert [answer.frame_id for answer in journal.unsettled()] == ["waits"]
    assert journal.get("f11999") is not None and journal.get("f0") is None
    assert journal.damaged() == 0
assert not copies(path)
""",
        megabytes=4,
    )


def test_a_running_journal_waits_for_room_to_save_what_it_holds(tmp_path: Path) -> None:
    run_on_a_small_disk(
        tmp_path,
        """
from test_journal import Journal, StorageError, device
from edge_sdk.durable.ballast import Ballast
path = folder / "journal.db"
reserve = Ballast(folder / "reserve")
reserve.keep()
with Journal(path, flush_interval_s=3600.0, reserve=reserve) as journal:
    for number in range(300):
        journal.write(device(f"f{number}"))
    assert journal.flush()
    journal._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    damage(path)
    fill_up()
    try:
        journal.counts()
    except StorageError:
        pass
    journal.write(device("after"))
    assert not journal.flush() and not journal.flush()
    assert "No space" in journal.fault, journal.fault
    assert (folder / "reserve").exists()
    make_room()
    assert journal.flush()
    assert journal.fault is None
    assert journal.counts() == {"fox": 301}
""",
        megabytes=4,
    )


@pytest.mark.parametrize("damaged", ["", "ledger.db", "journal.db", "spool/index.sqlite3"])
def test_a_device_starts_on_a_full_disk_says_so_and_recovers(tmp_path: Path, damaged: str) -> None:
    run_on_a_small_disk(
        tmp_path,
        f"""
import logging
from test_classifier import EdgeClassifier, NEVER, ALWAYS, Reason, frame
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
    if {damaged!r} not in ("", "journal.db"):
        assert any("full" in word for word in said), said
    assert {{answer.reason for answer in answers}} == {{Reason.EVICTED}} and all(answer.final for answer in answers)
    assert any("the device's answer on" in word and "No space" in word for word in said), said
    make_room()
    later = edge.classify(frame(20))
    assert not later.final and edge.waiting == 2, (later, said)
    assert edge.journal.flush()
    known = {{entry.answer.frame_id for entry in edge.journal.query()}}
    assert known == {{answer.frame_id for answer in (first, *answers, later)}}
    assert (folder / "reserve").stat().st_size == 1 << 20
with EdgeClassifier(state_dir=folder, threshold=NEVER) as edge:
    assert edge.waiting == 2
""",
        megabytes=4,
    )


def test_a_ledger_and_an_index_damaged_on_a_full_disk_are_begun_anew_when_there_is_room(tmp_path: Path) -> None:
    run_on_a_small_disk(
        tmp_path,
        """
from test_spool import Spool, StorageError, item
from edge_sdk.budget.limits import Budget
from edge_sdk.budget.ledger import Ledger

def spoil(path, connection):
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute("PRAGMA shrink_memory")
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\\xa5" * (path.stat().st_size - 100))

with Spool(folder / "spool") as spool, Ledger(folder / "ledger.db", budgets=[Budget(10**9, 86_400.0)]) as ledger:
    for number in range(5):
        spool.put(item(f"f{number}", number / 10))
    ledger.flush()
    spoil(folder / "spool" / "index.sqlite3", spool._connection)
    spoil(folder / "ledger.db", ledger._connection)
    fill_up()
    for _ in range(3):
        assert spool.next() is None
        assert not ledger.try_spend(upload=10**6)
        assert "full" in ledger.fault, ledger.fault
        spool.ack("unknown")
        try:
            spool.put(item("refused"))
        except StorageError:
            pass
        else:
            raise AssertionError("put said nothing")
    make_room()
    assert not ledger.try_spend(upload=10**6)
    assert ledger.flush() and ledger.fault is None
    assert not ledger.try_spend(upload=10**6)
    spool.next()
    assert spool.next().frame_id == "f4" and len(spool) == 5
    spool.put(item("later"))
""",
        megabytes=4,
    )
