"""Rows of a server's reports: from its SQLite file, or from a PostgreSQL that servers share; `?` stands for values."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from edge_sdk.durable.database import readable
from edge_sdk.errors import ConfigError, StorageError
from edge_sdk.terminal.line import one_line

_SCHEMES = ("postgresql", "postgres")
PATIENCE = {
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
}
"""How long PostgreSQL's library waits for a network that drops everything, in seconds, and milliseconds the last."""


class Rows(Protocol):
    """Answers a question; its `str` names where."""

    def __call__(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows.

        Raises:
            StorageError: they cannot be read.
        """
        ...


def is_address(where: Path | str) -> bool:
    """Whether `where` names a PostgreSQL, not a folder."""
    return isinstance(where, str) and "://" in where and where.partition("://")[0] in _SCHEMES


def rows_of(where: Path | str, file: str) -> Rows:
    """What reads there.

    Args:
        where: a folder, or a `postgresql://` address.
        file: the file's name in the folder.

    Raises:
        StorageError: there is no such file.
        ConfigError: the package for PostgreSQL is missing.
    """
    if is_address(where):
        return _DatabaseRows(str(where))
    return _FileRows(Path(where), file)


class _FileRows:
    def __init__(self, folder: Path, file: str) -> None:
        self._path = folder / file
        if not self._path.is_file():
            raise StorageError(f"expected a server's reports ({file}) in {folder}; there are none")

    def __str__(self) -> str:
        return str(self._path)

    def __call__(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        try:
            with closing(sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)) as reader:
                reader.text_factory = readable
                return reader.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise StorageError(f"cannot read {self._path}: {error}") from error


class _DatabaseRows:
    """One connection, opened when it is needed, and anew where it broke; for any number of threads, one at a time."""

    def __init__(self, url: str) -> None:
        try:
            import psycopg
        except ImportError:
            raise ConfigError("PostgreSQL needs the package psycopg: pip install '.[postgres]'") from None
        self._url, self._psycopg, self._error = url, psycopg, psycopg.Error
        self._guard = threading.Lock()
        self._connection: Any = None

    def __str__(self) -> str:
        parts = urlsplit(self._url)
        return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"

    def __call__(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        with self._guard:
            try:
                was_open = self._connection is not None
                try:
                    return self._ask(sql, values)
                except self._error:
                    if not was_open or not self._connection.broken:
                        raise
                    return self._ask(sql, values)
            except self._error as error:
                raise StorageError(f"cannot read {self}: {one_line(error)}") from error

    def __del__(self) -> None:
        if getattr(self, "_connection", None) is not None:
            self._connection.close()

    def _ask(self, sql: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        if self._connection is None or self._connection.broken or self._connection.closed:
            # In autocommit mode a connection that waits for questions holds no snapshot.
            info = self._psycopg.conninfo
            said: dict[str, Any] = PATIENCE | info.conninfo_to_dict(self._url)
            self._connection = self._psycopg.connect(info.make_conninfo("", **said), autocommit=True)
        found: list[tuple[Any, ...]] = self._connection.execute(sql.replace("?", "%s"), values).fetchall()
        return found
