"""The replies that replicas of Ray Serve share without a database: one actor has them, the others ask it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import cast

from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from cloud_server.fleet.reply_cache import CachedReply, ReplyCache

_log = logging.getLogger(__name__)


class KeptReplies:
    """The replies that were given so far, for all replicas: the first one to a frame stays.

    Args:
        state: folder of their file; None: memory.
    """

    def __init__(self, state: str | None) -> None:
        self._path = None if state is None else Path(state) / "answers.db"
        self._cache: ReplyCache | None = None
        self._version = ""
        self._kept = 0

    async def use(self, version: str, rows: int) -> None:
        """Hold the replies of this model and label map; those of another one are dropped."""
        if self._cache is None:
            self._cache, self._version = ReplyCache(self._path, version, rows=rows), version
        elif version != self._version:
            self._version = version
            await self._cache.change_source(version, rows)

    async def get(self, key: bytes, version: str) -> CachedReply | None:
        """The reply to a frame, or None."""
        return None if self._cache is None or version != self._version else await self._cache.get(key)

    async def put(self, key: bytes, reply: CachedReply, version: str) -> None:
        """Keep a reply, unless there is one to this frame or it is of an older model."""
        if self._cache is not None and version == self._version and key not in self._cache:
            self._kept += 1
            await self._cache.put(key, reply)

    async def kept(self) -> int:
        """Frames that were answered since the start, each counted once."""
        return self._kept


class AskedReplies:
    """The reply cache of one replica: it asks `KeptReplies`. While that is away, frames are answered without it.

    Args:
        replies: its handle.
        version: of model and label map.
        rows: replies that are kept.
    """

    def __init__(self, replies: DeploymentHandle, version: str, rows: int) -> None:
        self._replies, self._version, self._rows = replies, version, rows
        self._count = 0

    def __len__(self) -> int:
        return self._count

    async def start(self) -> None:
        """Tell which model's replies are to be held."""
        await self._replies.use.remote(self._version, self._rows)

    async def get(self, key: bytes) -> CachedReply | None:
        """The reply to a frame, or None."""
        try:
            return cast(CachedReply | None, await self._replies.get.remote(key, self._version))
        except (RayError, RayServeException) as error:
            _log.error("the shared replies cannot be read, frames are computed: %s", type(error).__name__)
            return None

    async def put(self, key: bytes, reply: CachedReply) -> None:
        """Keep a reply; it outlives this replica once this has returned."""
        try:
            await self._replies.put.remote(key, reply, self._version)
            self._count += 1
        except (RayError, RayServeException) as error:
            _log.error("a reply is not shared, a repeat is computed again: %s", type(error).__name__)

    async def change_source(self, fingerprint: str, rows: int) -> None:
        """Replies to come are of another model or label map."""
        self._version, self._rows = fingerprint, rows
        await self.start()

    async def close(self) -> None:
        """Nothing: the replies stay."""
