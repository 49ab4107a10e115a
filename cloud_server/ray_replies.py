"""The replies that replicas of Ray Serve share without a database: one actor has them, the others ask it."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import cast

from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from cloud_server.fleet.remembered_replies import RememberedReplies
from cloud_server.fleet.reply_cache import CachedReply, ReplyCache

_log = logging.getLogger(__name__)

_FOLDER_DIGITS = 32


class KeptReplies:
    """The replies that were given so far, for all replicas: the first one to a frame stays.

    Each version of model and label map has replies of its own. An actor that was started again learns of them as
    replicas ask, and takes over what its folder has.

    Args:
        state: folder of their files, one for each version; None: memory.
    """

    def __init__(self, state: str | None) -> None:
        self._state = None if state is None else Path(state)
        self._caches: dict[str, ReplyCache | RememberedReplies] = {}
        self._held: frozenset[str] | None = None
        self._kept = 0

    async def hold(self, versions: list[str]) -> None:
        """Hold the replies of these versions, which a replica has that just started; drop those of others."""
        self._held = frozenset(versions)
        for version in self._caches.keys() - self._held:
            await self._caches.pop(version).close()
        folders = {self._folder(version) for version in versions}
        for folder in () if self._state is None or not self._state.is_dir() else list(self._state.iterdir()):
            if folder.is_dir() and folder not in folders:
                shutil.rmtree(folder, ignore_errors=True)

    async def get(self, key: bytes, version: str, rows: int) -> CachedReply | None:
        """The reply to a frame, or None."""
        cache = self._of(version, rows)
        return None if cache is None else await cache.get(key)

    async def put(self, key: bytes, reply: CachedReply, version: str, rows: int) -> None:
        """Keep a reply, unless there is one to this frame or it is of an older model."""
        cache = self._of(version, rows)
        if cache is not None and key not in cache:
            self._kept += 1
            await cache.put(key, reply)

    async def kept(self) -> int:
        """Frames that were answered since the start, each counted once."""
        return self._kept

    def _folder(self, version: str) -> Path | None:
        return None if self._state is None else self._state / version[:_FOLDER_DIGITS]

    def _of(self, version: str, rows: int) -> ReplyCache | RememberedReplies | None:
        """The replies of a version; None: it is none of those that are held."""
        if self._held is not None and version not in self._held:
            return None
        if version not in self._caches:
            folder = self._folder(version)
            self._caches[version] = (
                RememberedReplies(rows) if folder is None else ReplyCache(folder / "answers.db", version, rows=rows)
            )
        return self._caches[version]


class AskedReplies:
    """One model's reply cache in a replica: it asks `KeptReplies`. While that is away, frames are answered without it.

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

    async def get(self, key: bytes) -> CachedReply | None:
        """The reply to a frame, or None."""
        try:
            return cast(CachedReply | None, await self._replies.get.remote(key, self._version, self._rows))
        except (RayError, RayServeException) as error:
            _log.error("the shared replies cannot be read, frames are computed: %s", type(error).__name__)
            return None

    async def put(self, key: bytes, reply: CachedReply) -> None:
        """Keep a reply; it outlives this replica once this has returned."""
        try:
            await self._replies.put.remote(key, reply, self._version, self._rows)
            self._count += 1
        except (RayError, RayServeException) as error:
            _log.error("a reply is not shared, a repeat is computed again: %s", type(error).__name__)

    async def change_source(self, fingerprint: str, rows: int) -> None:
        """Replies to come are of another model or label map."""
        self._version, self._rows = fingerprint, rows

    async def close(self) -> None:
        """Nothing: the replies stay."""
