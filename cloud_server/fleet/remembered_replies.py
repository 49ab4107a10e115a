"""The replies given so far, in this process's memory alone: what `--state none` keeps."""

from __future__ import annotations

from cloud_server.fleet.reply_cache import CachedReply


class RememberedReplies:
    """The latest replies, until the process ends; used on one event loop.

    Args:
        rows: replies that are kept; the oldest leave first.
    """

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._replies: dict[bytes, CachedReply] = {}

    def __len__(self) -> int:
        return len(self._replies)

    def __contains__(self, key: bytes) -> bool:
        return key in self._replies

    async def get(self, key: bytes) -> CachedReply | None:
        """The reply to a frame that was answered before, or None."""
        return self._replies.get(key)

    async def put(self, key: bytes, answer: CachedReply) -> None:
        """Keep a reply."""
        self._replies.pop(key, None)
        self._replies[key] = answer
        while len(self._replies) > self._rows:
            del self._replies[next(iter(self._replies))]

    async def change_source(self, fingerprint: str, rows: int) -> None:
        """Drop all replies, since those to come are of another model or label map."""
        self._replies.clear()
        self._rows = rows

    async def close(self) -> None:
        """Nothing is open."""
