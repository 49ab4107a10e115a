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
sys.path[:0] = [sys.argv[2]]

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
"""


def run_on_a_small_disk(folder: Path, script: str) -> None:
    """Run `script` with a tmpfs of 2 MB mounted at `folder`; skip where the system does not allow that."""
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare (Linux)")
    mount = ["unshare", "--mount", "--map-root-user", "sh", "-c"]
    if subprocess.run([*mount, f"mount -t tmpfs -o size=64k tmpfs {folder}"], capture_output=True).returncode:
        pytest.skip("needs the right to mount a tmpfs in a namespace")
    command = f'mount -t tmpfs -o size=2m tmpfs {folder} && exec "$0" -W error -c "$1" {folder} "$2"'
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
from edge_sdk.budget import Budget, Resource
from edge_sdk.ledger import Ledger
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
