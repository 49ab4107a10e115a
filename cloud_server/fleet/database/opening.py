"""Opening the fleet's database: its address, its tables brought up to date, and what may go wrong in words."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from edge_sdk.errors import ConfigError, StorageError
from edge_sdk.fleet.report_rows import PATIENCE
from edge_sdk.terminal.line import one_line

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, Table

T = TypeVar("T")

FILE = "fleet.db"
"""In the state folder, where no other database is named."""
VARIABLE = "EDGE_SDK_DATABASE"
"""The environment variable that names a database, so that its password stands in no command line."""
_LOCK = 0x65_64_67_65  # PostgreSQL's advisory lock while tables are made: "edge"
_BUSY_S = 10.0
_PATIENCE = PATIENCE | {
    "application_name": "cloud-server",
    "options": "-cstatement_timeout=20s",
    "client_encoding": "utf8",
}
"""What holds of a PostgreSQL where its address says nothing else."""
_POOL = 4
_STALE_S = 300
_READ_ONLY = "25006"
"""PostgreSQL's code: a standby, or a server that was one's primary and is no longer."""


class Unavailable(StorageError):
    """The database does not answer, or cannot write: the same may work a little later."""


class Overtaken(ConfigError):
    """Somebody else changed the same meanwhile: nothing of this change holds."""


def check_latest(what: str, changed_by: str, changed_ms: int, since_ms: int | None) -> None:
    """Refuse a change that was made from what no longer holds.

    Args:
        what: is changed, in words.
        changed_by: who changed it last.
        changed_ms: when, milliseconds since 1970; 0: nobody did.
        since_ms: the change that the caller has seen; None: it does not matter.

    Raises:
        Overtaken: it was changed after that.
    """
    if since_ms is not None and since_ms != changed_ms:
        who = one_line(changed_by, 64) or "somebody"
        raise Overtaken(f"expected {what} as they were when you looked; {who} has changed them meanwhile: look again")


def open_database(where: str | Path) -> Engine:
    """Open a database, and make the tables that it lacks.

    Args:
        where: a path (SQLite), or `postgresql://user@host/name`; without a password there, libpq's ways hold
            (`~/.pgpass`, `PGPASSWORD`).

    Raises:
        ConfigError: it cannot be opened, a package for it is missing, or a newer version of this software made it.
    """
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    engine = _engine(where)
    try:
        with engine.begin() as connection:
            _upgrade(connection)
    except SQLAlchemyError as error:
        engine.dispose()
        cause = error.orig if isinstance(error, DBAPIError) else error
        raise ConfigError(f"cannot open the database {told(engine)}: {one_line(cause)}") from error
    except BaseException:
        engine.dispose()
        raise
    return engine


def check_address(where: str | Path) -> None:
    """Check the form of an address, without a connection, and making nothing.

    Raises:
        ConfigError: it is neither a path nor `postgresql://user@host/name`, or a package for it is missing.
    """
    if isinstance(where, str) and "://" in where:
        _engine(where).dispose()


def told(engine: Engine) -> str:
    """The database's address for people, without its password; of SQLite the path."""
    if not is_postgresql(engine):
        return str(engine.url.database)
    return address_of(engine, hide_password=True)


def address_of(engine: Engine, *, hide_password: bool = False) -> str:
    """The address of a PostgreSQL, as it was given."""
    query = {name: value for name, value in engine.url.query.items() if _PATIENCE.get(name) != value}
    return engine.url.set(drivername=engine.dialect.name, query=query).render_as_string(hide_password=hide_password)


def is_postgresql(engine: Engine) -> bool:
    """Whether several servers can share it, and it has the tables of reports and replies."""
    return engine.dialect.name == "postgresql"


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """One transaction, which is on the disk when the block has ended.

    Raises:
        Unavailable: the database does not answer or cannot write; nothing of the block holds.
        ConfigError: it cannot hold a value: a text with NUL, or half of a character; nothing of the block holds.
    """
    from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, TimeoutError

    try:
        with engine.begin() as connection:
            yield connection
    except IntegrityError:
        raise
    except (DataError, UnicodeError, OverflowError) as error:
        raise ConfigError(f"expected values that a database can hold; {one_line(error, 200)}") from error
    except (DBAPIError, TimeoutError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        if getattr(cause, "sqlstate", None) == _READ_ONLY:
            engine.dispose()  # connections to come look again which of several servers can write
        raise Unavailable(f"the database {told(engine)} does not answer: {one_line(cause)}") from error


async def in_time(asked: asyncio.Future[T], engine: Engine, longest_s: float) -> T:
    """What a question to a database gives; the thread that asked a database which hangs is left behind.

    Args:
        asked: on a thread.
        engine: of the database.
        longest_s: seconds to wait for it.

    Raises:
        Unavailable: it takes longer.
    """
    try:
        async with asyncio.timeout(longest_s):
            return await asked
    except TimeoutError:
        raise Unavailable(f"the database {told(engine)} does not answer within {longest_s:g} s") from None


def one_writer(connection: Connection, table: Table) -> None:
    """Let no other transaction write to a table until this one ends; SQLite has one writer at a time anyway."""
    from sqlalchemy import text

    if connection.dialect.name == "postgresql":
        connection.execute(text(f"LOCK TABLE {table.name} IN SHARE ROW EXCLUSIVE MODE"))


def _engine(where: str | Path) -> Engine:
    try:
        from sqlalchemy import create_engine, event, make_url
        from sqlalchemy.exc import ArgumentError
    except ImportError:
        raise ConfigError("a database of the fleet needs the package sqlalchemy: pip install '.[cloud]'") from None
    if isinstance(where, Path) or "://" not in where:
        path = Path(where)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise ConfigError(f"cannot open the database {path}: {error.strerror}") from error
        engine = create_engine(f"sqlite:///{path.absolute()}", connect_args={"timeout": _BUSY_S})
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    scheme, _, rest = where.partition("://")
    if scheme not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise ConfigError(f"expected a path, or postgresql://user@host/name; got the scheme {one_line(scheme, 40)!r}")
    try:
        url = make_url(f"postgresql+psycopg://{rest}")
        return create_engine(
            url.update_query_dict({name: value for name, value in _PATIENCE.items() if name not in url.query}),
            pool_size=_POOL,
            max_overflow=_POOL,
            pool_timeout=_BUSY_S,
            pool_pre_ping=True,  # a database that was started again costs no request
            pool_recycle=_STALE_S,
        )
    except (ArgumentError, ValueError) as error:
        raise ConfigError("expected postgresql://user@host/name; got an address of another form") from error
    except ImportError:
        raise ConfigError("PostgreSQL needs the package psycopg: pip install '.[postgres]'") from None


def _set_up_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # transactions begin as `_begin_sqlite` says
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")  # what people say is written seldom, and must stay


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")  # a transaction that reads first and writes then never fails as busy


def _upgrade(connection: Connection) -> None:
    """Run the steps that the database lacks; one server at a time."""
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from sqlalchemy import text

    if connection.dialect.name == "postgresql":
        encoding = connection.scalar(text("SHOW server_encoding"))
        if encoding != "UTF8":
            raise ConfigError(
                f"expected a database in UTF8, which holds all texts; got {one_line(encoding, 40)}: make one by "
                "createdb -T template0 -E UTF8 --locale=C.UTF-8 NAME"
            )
        connection.execute(text("SET LOCAL statement_timeout = 0"))  # a step over many rows takes its time
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    steps = ScriptDirectory.from_config(config)
    known = {step.revision for step in steps.walk_revisions()}
    stands_at = MigrationContext.configure(connection).get_current_revision()
    if stands_at is not None and stands_at not in known:
        raise ConfigError(
            f"a newer version of this software made this database (step {one_line(stands_at, 40)}): update this server"
        )
    if stands_at != steps.get_current_head():
        command.upgrade(config, "head")
