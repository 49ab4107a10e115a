from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge_sdk.durable.copies import copies, set_aside
from edge_sdk.durable.database import is_damage, open_database, storable, transaction
from edge_sdk.errors import StorageError

SCHEMA = ("CREATE TABLE word (text TEXT)",)


def connect(path: Path, *, exclusive: bool = False) -> sqlite3.Connection:
    def fill(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO word VALUES ('fresh')")

    return open_database(path, schema=SCHEMA, version=3, exclusive=exclusive, fill=fill)


def words(connection: sqlite3.Connection) -> list[str]:
    return [text for (text,) in connection.execute("SELECT text FROM word")]


def test_a_fresh_file_is_created_with_its_folder_and_filled_once(tmp_path: Path) -> None:
    for _ in range(2):
        with closing(connect(tmp_path / "new" / "folder" / "file.db")) as connection:
            assert words(connection) == ["fresh"]
            assert connection.execute("PRAGMA user_version").fetchone() == (3,)
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_creation_that_fails_leaves_an_empty_file_that_is_created_anew(tmp_path: Path) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        raise StorageError("no")

    with pytest.raises(StorageError, match=r"^no$"):
        open_database(tmp_path / "file.db", schema=SCHEMA, version=3, exclusive=True, fill=fail)
    with closing(connect(tmp_path / "file.db")) as connection:
        assert words(connection) == ["fresh"]


def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    with closing(connect(tmp_path / "file.db")) as connection:
        with pytest.raises(ZeroDivisionError), transaction(connection):
            connection.execute("DELETE FROM word")
            raise ZeroDivisionError
        assert words(connection) == ["fresh"]
        with transaction(connection):
            connection.execute("DELETE FROM word")
        assert words(connection) == []


def test_an_exclusive_file_is_held_until_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "file.db"
    with closing(connect(path, exclusive=True)), pytest.raises(StorageError, match="to be free"):
        connect(path, exclusive=True)
    connect(path, exclusive=True).close()


def test_damaged_files_are_set_aside_under_names_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "file.db"
    path.write_text("damage")
    names = [set_aside(path).name]
    (tmp_path / "file.db.damaged-99999999999").write_text("from a time when the clock was wrong")
    for _ in range(2):
        path.write_text("damage")
        names.append(set_aside(path).name)
    assert names[1:] == ["file.db.damaged-100000000000", "file.db.damaged-100000000001"]
    assert [copy.name for copy in copies(path)] == [*names[:0:-1], "file.db.damaged-99999999999", names[0]]


def test_of_the_damaged_files_the_newest_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "file.db"
    other = tmp_path / "file.db2.damaged-1"
    other.write_text("of another file")
    for number in range(3):
        path.write_bytes(b"damage %d" % number * 1000)
        with closing(connect(path)) as connection:
            assert words(connection) == ["fresh"]
        assert copies(path)[0].read_bytes() == b"damage %d" % number * 1000
        copies(path)[0].with_name(f"{copies(path)[0].name}-wal").write_text("log")
    (copy,) = copies(path)
    assert {file.name for file in tmp_path.glob("*damaged-*")} == {copy.name, f"{copy.name}-wal", other.name}


def test_saving_that_a_stop_cut_short_is_done_at_the_next_opening(tmp_path: Path) -> None:
    path = tmp_path / "file.db"
    saved: list[Path] = []

    def save(damaged: Path, connection: sqlite3.Connection, room: int | None) -> None:
        assert room is None
        saved.append(damaged)
        if len(saved) == 1:
            raise KeyboardInterrupt
        connection.execute("INSERT INTO word VALUES ('saved')")

    path.write_bytes(b"damage" * 1000)
    with pytest.raises(KeyboardInterrupt):
        open_database(path, schema=SCHEMA, version=3, exclusive=True, save=save)
    for _ in range(2):
        with closing(open_database(path, schema=SCHEMA, version=3, exclusive=True, save=save)) as connection:
            assert words(connection) == ["saved"]
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert connection.execute("PRAGMA page_size").fetchone() == (1024,)
    assert saved == [*copies(path), *copies(path)]


def test_the_wal_goes_aside_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "file.db"
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").write_text(suffix)
    aside = set_aside(path)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        f"{aside.name}{suffix}" for suffix in ("", "-shm", "-wal")
    ]


def test_other_errors_are_no_damage(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "file.db")) as connection:
        with pytest.raises(sqlite3.OperationalError) as caught:
            connection.execute("SELECT nonsense nonsense nonsense")
        assert not is_damage(caught.value)
    assert not is_damage(OSError(28, "No space left on device"))


def test_a_flipped_name_of_a_table_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "file.db"
    schema = ("CREATE TABLE things (name TEXT)", "CREATE INDEX by_name ON things (name)")
    open_database(path, schema=schema, version=1, exclusive=True).close()
    content = path.read_bytes()
    path.write_bytes(content.replace(b"things", b"thinks"))
    with closing(open_database(path, schema=schema, version=1, exclusive=True)) as connection:
        assert connection.execute("SELECT count(*) FROM things").fetchone() == (0,)
    assert len(list(tmp_path.glob("file.db.damaged-*"))) == 1
    with closing(sqlite3.connect(path)) as connection:
        with pytest.raises(sqlite3.OperationalError) as caught:
            connection.execute("SELECT * FROM thinks")
        assert is_damage(caught.value)


def test_storable() -> None:
    assert storable("Füchse 🦊") == "Füchse 🦊"
    assert storable("\udcfc") == r"\udcfc"
