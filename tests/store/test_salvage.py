"""Rows read out of a damaged table without SQLite."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge_sdk.store.salvage import rows_in

VALUES = [
    ("text", "füchse", 0, 1, -1, 127, 128, -(1 << 15), 1 << 23, 1 << 31, 1 << 40, 1 << 62, 0.5, None, b"\x00\xff"),
    ("", "x" * 300, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1e300, None, b""),
]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """500 rows, some in the file and some in the log, as a kill leaves them."""
    columns = ", ".join(f"c{number}" for number in range(len(VALUES[0])))
    with closing(sqlite3.connect(tmp_path / "open.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA page_size=1024")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute(f"CREATE TABLE t (number INTEGER PRIMARY KEY, {columns})")
        connection.execute("CREATE INDEX i ON t (c1, c2)")
        put = f"INSERT INTO t VALUES (NULL, {', '.join('?' * len(VALUES[0]))})"
        for number in range(500):
            connection.execute(put, VALUES[number % 2])
            if number == 300:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        for suffix in ("", "-wal"):
            shutil.copy(tmp_path / f"open.db{suffix}", tmp_path / f"file.db{suffix}")
    return tmp_path / "file.db"


def found(database: Path) -> dict[int, list[object]]:
    return {row[0]: row[1:] for row in rows_in(database, len(VALUES[0]) + 1, 1024)}


def test_every_row_of_a_whole_file_and_its_log_is_read(database: Path) -> None:
    assert found(database) == {number: list(VALUES[(number - 1) % 2]) for number in range(1, 501)}


def test_without_its_first_page_and_the_log_s_header_all_but_the_rows_of_that_page_are_read(database: Path) -> None:
    for suffix in ("", "-wal"):
        with Path(f"{database}{suffix}").open("r+b") as file:
            file.write(bytes(4096))
    assert len(found(database)) > 480


def test_garbage_is_passed_over(database: Path) -> None:
    chance = random.Random(1)
    whole = database.read_bytes()
    for _ in range(50):
        content = bytearray(whole)
        for _ in range(200):
            content[chance.randrange(len(content))] = chance.randrange(256)
        database.write_bytes(content)
        assert len(found(database)) > 300
    database.unlink()
    Path(f"{database}-wal").unlink()
    assert found(database) == {}
