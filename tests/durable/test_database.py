"""An SQLite file that replaces itself when damaged."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from edge_sdk.durable.database import MEMORY, Database, is_damage, storable, transaction
from edge_sdk.durable.files import set_aside
from edge_sdk.errors import StorageError

SCHEMA = ("CREATE TABLE word (text TEXT)",)


def fill(connection: sqlite3.Connection, damaged: Path | None) -> None:
    connection.execute("INSERT INTO word VALUES (?)", ["fresh" if damaged is None else "anew"])


@contextmanager
def opened(path: Path, *, exclusive: bool = False, version: int = 3) -> Iterator[Database]:
    with closing(Database(path, schema=SCHEMA, version=version, exclusive=exclusive, fill=fill)) as database:
        yield database


def words(database: Database) -> list[str]:
    return [text for (text,) in database.connection.execute("SELECT text FROM word")]


def test_a_fresh_file_is_created_with_its_folder_and_filled_once(tmp_path: Path) -> None:
    for _ in range(2):
        with opened(tmp_path / "new" / "folder" / "file.db") as database:
            assert words(database) == ["fresh"]
            assert database.connection.execute("PRAGMA user_version").fetchone() == (3,)
            assert database.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert database.connection.execute("PRAGMA synchronous").fetchone() == (2,)
            assert database.connection.execute("PRAGMA page_size").fetchone() == (1024,)


def test_a_creation_that_fails_leaves_an_empty_file_that_is_created_anew(tmp_path: Path) -> None:
    def fail(connection: sqlite3.Connection, damaged: Path | None) -> None:
        raise StorageError("no")

    with pytest.raises(StorageError, match=r"^no$"):
        Database(tmp_path / "file.db", schema=SCHEMA, version=3, exclusive=True, fill=fail)
    with opened(tmp_path / "file.db") as database:
        assert words(database) == ["fresh"]


def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    with opened(tmp_path / "file.db") as database:
        with pytest.raises(ZeroDivisionError), database.transaction() as connection:
            connection.execute("DELETE FROM word")
            raise ZeroDivisionError
        assert words(database) == ["fresh"]
        with transaction(database.connection):
            database.connection.execute("DELETE FROM word")
        assert words(database) == []


def test_an_exclusive_file_is_held_until_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "file.db"
    with opened(path, exclusive=True), pytest.raises(StorageError, match="to be free"), opened(path, exclusive=True):
        pass
    with opened(path, exclusive=True):
        pass


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path / "file.db", version=4):
        pass
    with pytest.raises(StorageError, match="expected schema 3 or older"), opened(tmp_path / "file.db"):
        pass


def test_without_a_file_all_is_kept_in_memory() -> None:
    with opened(MEMORY) as database:
        with database.transaction() as connection:
            connection.execute("INSERT INTO word VALUES ('more')")
        assert words(database) == ["fresh", "more"]
    assert not MEMORY.exists()


def test_a_damaged_file_is_set_aside_in_place_of_an_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "file.db"
    for number in range(2):
        path.write_bytes(b"damage %d" % number * 1000)
        with opened(path) as database:
            assert words(database) == ["anew"]
        assert (tmp_path / "file.db.damaged").read_bytes() == b"damage %d" % number * 1000
    assert {file.name for file in tmp_path.iterdir()} == {"file.db", "file.db.damaged"}


def test_a_file_that_proves_damaged_while_open_is_replaced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "file.db"
    with opened(path) as database:
        database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.connection.execute("PRAGMA shrink_memory")
        content = path.read_bytes()
        path.write_bytes(content[:100] + b"\xa5" * (len(content) - 100))
        with pytest.raises(sqlite3.DatabaseError), database.transaction() as connection:
            connection.execute("INSERT INTO word VALUES ('lost')")
        with database.transaction() as connection:
            connection.execute("INSERT INTO word VALUES ('kept')")
        assert words(database) == ["anew", "kept"]
        assert database.fault is None
    assert "file.db is damaged" in caplog.text


def test_a_stop_between_setting_aside_and_the_fresh_file_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "file.db"
    path.write_bytes(b"damage" * 1000)
    set_aside(path, "test")
    with opened(path) as database:
        assert words(database) == ["anew"]


def test_the_logs_go_aside_with_their_file(tmp_path: Path) -> None:
    path = tmp_path / "file.db"
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").write_text(suffix)
    aside = set_aside(path, "test")
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == [f"{aside.name}{suffix}" for suffix in ("", "-shm", "-wal")]
    path.write_text("again")
    set_aside(path, "test")
    assert [file.name for file in tmp_path.iterdir()] == [aside.name]


def logged(path: Path, commits: int = 30) -> Path:
    """A file with a write-ahead log of some commits, as a kill leaves it."""
    with opened(path / "a.db", exclusive=True) as database:
        for number in range(commits):
            with database.transaction() as connection:
                connection.execute("INSERT INTO word VALUES (?)", [f"{number}"])
        shutil.copy(path / "a.db", path / "file.db")
        shutil.copy(path / "a.db-wal", path / "file.db-wal")
    return path / "file.db"


@pytest.mark.parametrize("page", [0, 1, 3])
def test_a_log_that_was_damaged_after_it_had_been_whole_is_damage(tmp_path: Path, page: int) -> None:
    path = logged(tmp_path)
    with Path(f"{path}-wal").open("r+b") as log:
        log.seek(page * 4096)
        log.write(bytes(4096))
    with opened(path, exclusive=True) as database:
        assert words(database) == ["anew"]


@pytest.mark.parametrize("missing", [0, 1, 500, 1200])
def test_a_log_whose_last_commit_is_broken_is_what_a_power_cut_leaves(tmp_path: Path, missing: int) -> None:
    path = logged(tmp_path)
    log = Path(f"{path}-wal")
    os.truncate(log, log.stat().st_size - missing)
    with opened(path, exclusive=True) as database:
        assert len(words(database)) >= 29


def test_a_log_that_begins_anew_holds_older_commits_and_is_whole(tmp_path: Path) -> None:
    with opened(tmp_path / "a.db", exclusive=True) as database:
        for number in range(20):
            with database.transaction() as connection:
                connection.execute("INSERT INTO word VALUES (?)", [f"{number}"])
            if number == 15:
                connection.execute("PRAGMA wal_checkpoint(FULL)")
        for name in ("a.db", "a.db-wal"):
            shutil.copy(tmp_path / name, tmp_path / f"copy{name[1:]}")
    with opened(tmp_path / "copy.db", exclusive=True) as database:
        assert len(words(database)) == 21


def test_other_errors_are_no_damage(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "file.db")) as connection:
        with pytest.raises(sqlite3.OperationalError) as caught:
            connection.execute("SELECT nonsense nonsense nonsense")
        assert not is_damage(caught.value)
    assert not is_damage(OSError(28, "No space left on device"))


def test_a_flipped_name_of_a_table_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "file.db"
    schema = ("CREATE TABLE things (name TEXT)", "CREATE INDEX by_name ON things (name)")
    Database(path, schema=schema, version=1, exclusive=True).close()
    content = path.read_bytes()
    path.write_bytes(content.replace(b"things", b"thinks"))
    with closing(Database(path, schema=schema, version=1, exclusive=True)) as database:
        assert database.connection.execute("SELECT count(*) FROM things").fetchone() == (0,)
    assert (tmp_path / "file.db.damaged").exists()
    with closing(sqlite3.connect(path)) as connection:
        with pytest.raises(sqlite3.OperationalError) as caught:
            connection.execute("SELECT * FROM thinks")
        assert is_damage(caught.value)


def test_storable() -> None:
    assert storable("Füchse 🦊") == "Füchse 🦊"
    assert storable("\udcfc") == r"\udcfc"
