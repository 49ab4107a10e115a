from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from postgres_server import Postgres, postgres
from sqlalchemy import Engine, insert, select, text

from cloud_server.fleet.database.opening import (
    Unavailable,
    address_of,
    is_postgresql,
    open_database,
    told,
    transaction,
)
from cloud_server.fleet.database.tables import METADATA, cards
from edge_sdk.errors import ConfigError
from edge_sdk.fleet.report_rows import rows_of

CARD = {"device": "cam-1", "changed_by": "ada", "changed_ms": 1}


def test_the_steps_make_the_tables_as_they_are_described(engine: Engine) -> None:
    shared = {name for name, table in METADATA.tables.items() if table.info.get("postgresql")}
    with engine.connect() as connection:
        steps = compare_metadata(MigrationContext.configure(connection), METADATA)
    missing = [step for step in steps if not is_postgresql(engine) and getattr(step[1], "name", "") in shared]
    indexes = [step for step in steps if not is_postgresql(engine) and step[0] == "add_index"]
    assert [step for step in steps if step not in missing and step not in indexes] == []


def test_what_was_written_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "fleet.db"
    for _ in range(2):
        engine = open_database(path)
        with transaction(engine) as connection:
            if not connection.execute(select(cards)).all():
                connection.execute(insert(cards).values(CARD))
            assert len(connection.execute(select(cards)).all()) == 1
        engine.dispose()
    assert path.stat().st_mode & 0o077 == 0


def test_a_transaction_that_fails_leaves_nothing(engine: Engine) -> None:
    with pytest.raises(RuntimeError), transaction(engine) as connection:
        connection.execute(insert(cards).values(CARD))
        raise RuntimeError
    with transaction(engine) as connection:
        assert connection.execute(select(cards)).all() == []


@pytest.mark.parametrize("value", ["half a character \ud800", 1 << 70])
def test_a_value_that_no_database_holds_is_refused(engine: Engine, value: object) -> None:
    row = CARD | ({"note": value} if isinstance(value, str) else {"changed_ms": value})
    with (
        pytest.raises(ConfigError, match="expected values that a database can hold"),
        transaction(engine) as connection,
    ):
        connection.execute(insert(cards).values(row))


def test_a_text_with_nul_is_refused_where_it_cannot_be_held(shared: Engine) -> None:
    with pytest.raises(ConfigError, match="NUL"), transaction(shared) as connection:
        connection.execute(insert(cards).values(CARD | {"note": "a\0b"}))


def test_servers_that_start_together_make_the_tables_once(postgres_process: Postgres) -> None:
    url = postgres_process.new_database()
    with ThreadPoolExecutor(4) as pool:
        for engine in pool.map(open_database, [url] * 4):
            engine.dispose()


def test_a_database_of_a_newer_version_is_refused(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    where = engine.url.render_as_string(hide_password=False)
    with pytest.raises(ConfigError, match=r"newer version .* \(step 9999\): update this server"):
        open_database(where.removeprefix("sqlite:///") if "sqlite" in where else where)


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("mysql://a/b", "expected a path, or postgresql://user@host/name; got the scheme 'mysql'"),
        ("postgresql://edge:s3cret@127.0.0.1:1/fleet", "cannot open the database"),
        ("postgresql://edge@127.0.0.1:none/fleet", "expected postgresql://user@host/name"),
    ],
)
def test_an_address_that_cannot_be_used_is_told_without_its_password(where: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_database(where)
    assert words in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "fleet.db"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(ConfigError, match="cannot open the database"):
        open_database(path)


def test_a_postgresql_that_dies_is_an_outcome_and_one_that_comes_back_is_used_again(tmp_path: Path) -> None:
    with postgres(tmp_path) as server:
        engine = open_database(server.new_database())
        with transaction(engine) as connection:
            connection.execute(insert(cards).values(CARD))
        server.kill()
        with pytest.raises(Unavailable, match="does not answer"), transaction(engine) as connection:
            connection.execute(select(cards)).all()
        server.start()
        with transaction(engine) as connection:
            assert len(connection.execute(select(cards)).all()) == 1
        assert told(engine).startswith("postgresql://edge@127.0.0.1")
        engine.dispose()


def test_of_two_postgresqls_the_one_that_can_write_is_used_and_the_other_once_it_can(tmp_path: Path) -> None:
    """As a primary and its standby, whose parts change: `target_session_attrs` of libpq, without a restart here."""
    with postgres(tmp_path) as first, postgres(tmp_path) as second:
        name = first.new_database().rpartition("/")[2]
        second.new_database(name)
        second.may_write(name, False)
        hosts = f"host=127.0.0.1,127.0.0.1&port={first.port},{second.port}&target_session_attrs=read-write"
        engine = open_database(f"postgresql://edge@/{name}?{hosts}")
        with transaction(engine) as connection:
            connection.execute(insert(cards).values(CARD))
        second.may_write(name, True)
        open_database(second.url(name)).dispose()
        first.may_write(name, False)
        with pytest.raises(Unavailable, match="read-only transaction"), transaction(engine) as connection:
            connection.execute(insert(cards).values(CARD | {"device": "cam-2"}))
        with transaction(engine) as connection:
            connection.execute(insert(cards).values(CARD | {"device": "cam-3"}))
        assert rows_of(address_of(engine), "")("SELECT device FROM cards") == [("cam-3",)]
        assert told(engine) == f"postgresql://edge@/{name}?{hosts.replace(',', '%2C')}"
        engine.dispose()


def test_what_an_address_says_of_patience_goes_before_what_holds_else(postgres_process: Postgres) -> None:
    url = postgres_process.new_database()
    shown = text("SELECT current_setting('statement_timeout'), current_setting('search_path')")
    for where, wanted in (
        (url, ("20s", '"$user", public')),
        (f"{url}?options=-csearch_path%3Dpublic", ("0", "public")),
    ):
        engine = open_database(where)
        with transaction(engine) as connection:
            assert tuple(connection.execute(shown).one()) == wanted
        engine.dispose()


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_cannot_hold_all_texts_is_refused(postgres_process: Postgres, encoding: str) -> None:
    """As an initdb without a locale makes them, in a container for instance."""
    with pytest.raises(ConfigError, match=f"expected a database in UTF8.*got {encoding}: make one by createdb"):
        open_database(postgres_process.new_database(encoding=encoding))
