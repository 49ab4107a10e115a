"""The reply cache in a PostgreSQL that servers share: a frame that one answered costs no second run at another."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from cloud_server.fleet.database.opening import Unavailable, in_time, transaction
from cloud_server.fleet.database.tables import replies
from cloud_server.fleet.reply_cache import CachedReply

if TYPE_CHECKING:
    from sqlalchemy import Engine

T = TypeVar("T")

_log = logging.getLogger(__name__)

_THREADS = 4
_TRIM_EVERY_S = 60.0
_LONGEST_S = 5.0
"""Seconds for which a frame waits for the database."""
_AGAIN_S = 5.0
"""Seconds between two questions to a database that did not answer: frames do not wait for it one after the other."""


@dataclass(frozen=True, slots=True, eq=False)
class _Write:
    key: bytes
    answer: CachedReply
    done: asyncio.Future[None]


class SharedReplies:
    """The latest replies of all servers. Used on one event loop; its questions run elsewhere.

    Replies of several models or label maps stand side by side, so servers may be renewed one after the other. While the
    database does not answer, replies are sent without being kept, and the log says so once.

    Args:
        engine: of the PostgreSQL; this object does not close it.
        fingerprint: of the model and its labels.
        rows: replies that are kept, of all servers; the oldest leave first.
        clock: seconds since 1970.
        monotonic: seconds, monotonic.
    """

    def __init__(
        self,
        engine: Engine,
        fingerprint: str,
        *,
        rows: int,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine, self._fingerprint, self._rows = engine, fingerprint, rows
        self._clock, self._monotonic = clock, monotonic
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="replies")
        self._queue: list[_Write] = []
        self._writer: asyncio.Task[None] | None = None
        self._down_until = self._trim_at = float("-inf")
        self._is_down = False
        self._count = 0

    def __len__(self) -> int:
        return self._count

    async def get(self, key: bytes) -> CachedReply | None:
        """The reply to a frame that any server answered before, or None."""
        if not self._may_ask():
            return None
        try:
            found = await self._run(partial(self._read, key))
            self._down_until = float("-inf")
            return found
        except Unavailable as error:
            self._tell(error)
            return None

    async def put(self, key: bytes, answer: CachedReply) -> None:
        """Keep a reply; it is committed once this has returned, if the database answers."""
        loop = asyncio.get_running_loop()
        write = _Write(key, answer, loop.create_future())
        self._queue.append(write)
        if self._writer is None or self._writer.done():
            self._writer = loop.create_task(self._write_in_groups(), name="replies")
        await write.done

    async def change_source(self, fingerprint: str, rows: int) -> None:
        """Replies to come are of another model or label map; those of the one before stay for servers that have it."""
        self._fingerprint, self._rows = fingerprint, rows

    async def close(self) -> None:
        """Write what is left, if the database answers."""
        if self._writer is not None:
            await asyncio.gather(self._writer, return_exceptions=True)
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _write_in_groups(self) -> None:
        """Commit groups of replies; while one is committed, the next one gathers."""
        while self._queue:
            group, self._queue = self._queue, []
            try:
                if self._may_ask():
                    await self._run(partial(self._commit, self._fingerprint, group))
                    self._down_until = float("-inf")
                    if self._is_down:
                        self._is_down = False
                        _log.info("the database answers again: replies are kept")
            except Unavailable as error:
                self._tell(error)
            finally:
                for write in group:
                    if not write.done.done():
                        write.done.set_result(None)

    def _may_ask(self) -> bool:
        """Whether to ask the database; one that did not answer is asked once in a while."""
        now = self._monotonic()
        if now < self._down_until:
            return False
        if self._is_down:
            self._down_until = now + _AGAIN_S
        return True

    async def _run(self, work: Callable[[], T]) -> T:
        return await in_time(asyncio.get_running_loop().run_in_executor(self._pool, work), self._engine, _LONGEST_S)

    def _tell(self, error: Unavailable) -> None:
        self._down_until = self._monotonic() + _AGAIN_S
        if not self._is_down:
            self._is_down = True
            _log.error("replies are not kept for now, repeats are computed again: %s", error)

    def _read(self, key: bytes) -> CachedReply | None:
        wanted = select(replies.c.digest, replies.c.classification).where(
            replies.c.fingerprint == self._fingerprint, replies.c.key == key
        )
        with transaction(self._engine) as connection:
            row = connection.execute(wanted).one_or_none()
        return None if row is None else CachedReply(bytes(row.digest), bytes(row.classification))

    def _commit(self, fingerprint: str, group: list[_Write]) -> None:
        now_ms = round(self._clock() * 1000)
        rows = [
            {
                "fingerprint": fingerprint,
                "key": write.key,
                "digest": write.answer.digest,
                "classification": write.answer.classification,
                "made_ms": now_ms,
            }
            for write in sorted(group, key=lambda write: write.key)  # in one order: servers never block each other
        ]
        with transaction(self._engine) as connection:
            connection.execute(insert(replies).on_conflict_do_nothing(), rows)
            if self._monotonic() >= self._trim_at:
                self._trim_at = self._monotonic() + _TRIM_EVERY_S
                oldest = select(replies.c.made_ms).order_by(replies.c.made_ms.desc()).offset(self._rows).limit(1)
                connection.execute(delete(replies).where(replies.c.made_ms <= oldest.scalar_subquery()))
                self._count = connection.scalar(select(func.count()).select_from(replies)) or 0
