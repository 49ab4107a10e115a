"""The replies given so far, by device and frame id: a repeat costs no second run of the model, even after a restart.

SQLite in WAL mode, on a thread of its own. Replies are committed in groups before they are sent. A commit reaches
the operating system, not the disk (synchronous=NORMAL): it outlives this process however it is killed; a power cut
may cost the latest ones, which are then computed once more.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from edge_sdk.durable.ballast import is_full
from edge_sdk.durable.database import Database, transaction
from edge_sdk.errors import ConfigError, EdgeError, StorageError

_log = logging.getLogger(__name__)

ROWS = 65_536
MAX_BYTES = 256 << 20
_ROW_BYTES = 256  # key, digest, label, numbers, and what SQLite adds
_SCHEMA = (
    """CREATE TABLE answer (
        number INTEGER PRIMARY KEY,
        key BLOB NOT NULL UNIQUE,
        digest BLOB NOT NULL,
        classification BLOB NOT NULL
    )""",
    "CREATE TABLE source (fingerprint TEXT NOT NULL)",
)


@dataclass(frozen=True, slots=True)
class CachedReply:
    """One reply.

    Attributes:
        digest: of the picture that was answered.
        classification: a serialised `Classification`, as it was sent.
    """

    digest: bytes
    classification: bytes


@dataclass(frozen=True, slots=True, eq=False)
class _Write:
    key: bytes
    answer: CachedReply
    done: asyncio.Future[None]


def key_of(device: str, frame_id: str) -> bytes:
    """The key of a frame: 16 bytes that no other device's frame has, whatever ids that device chooses."""
    return hashlib.blake2b(f"{device}\n{frame_id.lower()}".encode(), digest_size=16, person=b"edge-sdk answer").digest()


def rows_within(labels: int, *, rows: int = ROWS, max_bytes: int = MAX_BYTES) -> int:
    """How many replies of `labels` probabilities are cached: `rows`, or fewer where those would exceed `max_bytes`."""
    return max(1, min(rows, max_bytes // (_ROW_BYTES + 4 * labels)))


class ReplyCache:
    """The latest replies, durable. Used on one event loop; its disk work runs elsewhere.

    A damaged file is set aside as `NAME.damaged` and a fresh one begun. Where the disk fails, or is full from the
    start, replies are sent without being cached, and the log says so once.

    Args:
        path: the SQLite file.
        fingerprint: of the model and its labels; replies of another one are dropped.
        rows: replies that are cached; the oldest leave first.

    Raises:
        ConfigError: another server holds the file, or it cannot be written.
    """

    def __init__(self, path: Path, fingerprint: str, *, rows: int = ROWS) -> None:
        self._path, self._fingerprint, self._rows = path, fingerprint, rows
        self._found: dict[bytes, None] = {}
        self._queue: list[_Write] = []
        self._writer: asyncio.Task[None] | None = None
        self._failing = False
        self._source = 0  # rises with each change of model or label map
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="answers")
        try:
            self._database = self._open()
        except BaseException:
            self._thread.shutdown()
            raise
        self._keys = self._found

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: bytes) -> bool:
        return key in self._keys

    async def get(self, key: bytes) -> CachedReply | None:
        """The reply to a frame that was answered before, or None."""
        if key not in self._keys:
            return None
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._read, key)

    async def put(self, key: bytes, answer: CachedReply) -> None:
        """Cache a reply; it outlives the process once this has returned."""
        loop = asyncio.get_running_loop()
        write = _Write(key, answer, loop.create_future())
        self._queue.append(write)
        if self._writer is None or self._writer.done():
            self._writer = loop.create_task(self._write_in_groups(), name="answers")
        await write.done

    async def change_source(self, fingerprint: str, rows: int) -> None:
        """Drop all replies, since those to come are of another model or label map.

        Args:
            fingerprint: of the new one.
            rows: replies that are cached from now on.
        """
        for write in self._queue:
            write.done.set_result(None)
        self._queue.clear()
        self._keys = {}
        self._source += 1
        self._fingerprint, self._rows = fingerprint, rows
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self._begin_anew)
        except (sqlite3.Error, EdgeError) as error:
            _log.error("replies of the label map before cannot be dropped from %s: %s", self._path, error)

    def _begin_anew(self) -> None:
        self._prepare(self._database.connection)

    async def close(self) -> None:
        """Write what is left and release the file."""
        if self._writer is not None:
            await asyncio.gather(self._writer, return_exceptions=True)
        await asyncio.get_running_loop().run_in_executor(self._thread, self._database.close)
        self._thread.shutdown()

    async def _write_in_groups(self) -> None:
        """Commit groups of replies; while one is committed, the next one gathers."""
        loop = asyncio.get_running_loop()
        while self._queue:
            group, self._queue = self._queue, []
            source = self._source
            try:
                fresh = await loop.run_in_executor(self._thread, self._commit, group)
                if source != self._source:  # what was just written has been dropped meanwhile
                    continue
                if fresh is not None:
                    self._keys = fresh
                for write in group:
                    self._keys.pop(write.key, None)
                    self._keys[write.key] = None
                while len(self._keys) > self._rows:
                    del self._keys[next(iter(self._keys))]
                self._failing = False
            except (sqlite3.Error, EdgeError) as error:
                if not self._failing:
                    _log.error("replies are not cached for now, repeats are computed again: %s", error)
                self._failing = True
            finally:
                for write in group:
                    if not write.done.done():
                        write.done.set_result(None)

    def _open(self) -> Database:
        folder = self._path.parent
        try:
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                if not is_full(error, folder):
                    raise
            if folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK):
                raise StorageError(f"the state folder {folder} cannot be written by this user (uid {os.geteuid()})")
            database = Database(
                self._path, schema=_SCHEMA, version=1, synchronous="NORMAL", exclusive=True, read=self._prepare
            )
            if database.fault is not None:  # the disk is full
                self._failing = True
                _log.error("replies are not cached for now, repeats are computed again: %s", database.fault)
        except (OSError, StorageError) as error:
            raise ConfigError(f"{error}: name another folder with --state, or none") from error
        return database

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Take over what a file holds that was just opened, oldest first."""
        with transaction(connection):
            known = [row[0] for row in connection.execute("SELECT fingerprint FROM source")]
            if known != [self._fingerprint]:
                dropped = connection.execute("DELETE FROM answer").rowcount
                connection.execute("DELETE FROM source")
                connection.execute("INSERT INTO source VALUES (?)", [self._fingerprint])
                if dropped:
                    _log.info("%d replies of another model or label map are dropped from %s", dropped, self._path)
            self._trim(connection)
        self._found = dict.fromkeys(row[0] for row in connection.execute("SELECT key FROM answer ORDER BY number"))

    def _trim(self, connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM answer WHERE number <= (SELECT max(number) FROM answer) - ?", [self._rows])

    def _read(self, key: bytes) -> CachedReply | None:
        try:
            row = self._database.connection.execute(
                "SELECT digest, classification FROM answer WHERE key = ?", [key]
            ).fetchone()
        except (sqlite3.Error, StorageError) as error:
            _log.error("cannot read a cached reply, it is computed again: %s", error)
            return None
        return None if row is None else CachedReply(*row)

    def _commit(self, group: list[_Write]) -> dict[bytes, None] | None:
        """Commit a group; returns the keys of a fresh file where the old one turned out damaged."""
        before = self._found
        try:
            self._insert(group)
        except sqlite3.Error:
            if self._found is before:
                raise
            self._insert(group)
        return None if self._found is before else self._found

    def _insert(self, group: list[_Write]) -> None:
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO answer (key, digest, classification) VALUES (?, ?, ?)",
                [(write.key, write.answer.digest, write.answer.classification) for write in group],
            )
            self._trim(connection)
