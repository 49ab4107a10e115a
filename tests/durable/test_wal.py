"""The log's checksum against SQLite's own, and what tells damage from a power cut."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest

from edge_sdk.durable.wal import _checksum, _read, is_damaged, mend

COMMITS = 40


def killed(folder: Path) -> Path:
    """A database as a kill leaves it: all its commits in the log."""
    folder.mkdir()
    live, left = folder / "live.db", folder / "left.db"
    with closing(sqlite3.connect(live, isolation_level=None)) as connection:
        connection.execute("PRAGMA page_size=1024")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("CREATE TABLE t (number INTEGER PRIMARY KEY, text TEXT)")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for number in range(COMMITS):
            connection.execute("INSERT INTO t VALUES (?, ?)", (number, f"row {number} " * 20))
        shutil.copy(live, left)
        shutil.copy(f"{live}-wal", f"{left}-wal")
    return left


def rows(database: Path) -> int:
    with closing(sqlite3.connect(database)) as connection:
        return int(connection.execute("SELECT count(*) FROM t NOT INDEXED").fetchone()[0])


def test_the_checksum_is_that_of_sqlite(tmp_path: Path) -> None:
    log = _read(killed(tmp_path / "a"))
    assert log is not None
    assert log.sound
    sums = log.sums
    for frame in log.frames:
        sums = _checksum(frame.summed, sums, log.words)
        assert frame.sums == sums
    assert sum(bool(frame.pages_after_commit) for frame in log.frames) == COMMITS


def test_a_whole_log_is_sound_and_so_is_none(tmp_path: Path) -> None:
    left = killed(tmp_path / "a")
    assert not is_damaged(left)
    assert rows(left) == COMMITS
    assert not is_damaged(left)
    assert not is_damaged(tmp_path / "nothing")


@pytest.mark.parametrize("seed", range(10))
def test_a_flipped_bit_is_noticed_and_what_follows_it_can_be_read(tmp_path: Path, seed: int) -> None:
    left = killed(tmp_path / "a")
    log = left.with_name(left.name + "-wal")
    content = bytearray(log.read_bytes())
    at = random.Random(seed).randrange(len(content) * 9 // 10) if seed else 5
    content[at] ^= 1 << seed % 8
    log.write_bytes(content)
    assert is_damaged(left)
    mend(left)
    assert not is_damaged(left)
    with suppress(sqlite3.DatabaseError):  # the bit may be one that tells where a row is
        assert rows(left) >= COMMITS - 10


@pytest.mark.parametrize("lost", [1, 500, 1048, 2000, 5000])
def test_a_log_that_a_power_cut_ended_early_is_sound(tmp_path: Path, lost: int) -> None:
    left = killed(tmp_path / "a")
    log = left.with_name(left.name + "-wal")
    content = log.read_bytes()
    log.write_bytes(content[:-lost])
    assert not is_damaged(left)
    log.write_bytes(content[:-lost] + bytes(lost))  # the file has its length, its last pages were never written
    assert not is_damaged(left)
