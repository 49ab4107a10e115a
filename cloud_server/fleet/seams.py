"""What a server needs of where its fleet's state is: SQLite files of its own, or a PostgreSQL that servers share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from cloud_server.fleet.reply_cache import CachedReply
from cloud_server.fleet.report_store import Report
from edge_sdk.fleet.report_file import Status

T = TypeVar("T")


class Replies(Protocol):
    """The replies given so far; used on one event loop."""

    def __len__(self) -> int:
        """How many are kept, as far as this server knows."""
        ...

    async def get(self, key: bytes) -> CachedReply | None:
        """The reply to a frame that was answered before, or None."""
        ...

    async def put(self, key: bytes, answer: CachedReply) -> None:
        """Keep a reply; it outlives the process once this has returned."""
        ...

    async def change_source(self, fingerprint: str, rows: int) -> None:
        """Replies to come are of another model or label map."""
        ...

    async def close(self) -> None:
        """Write what is left, and let go."""
        ...


class SettingsSource(Protocol):
    """Where settings for devices come from: a folder of signed files, or a database."""

    def newest(self, device: str, above: int) -> bytes | None:
        """The signed settings for a device, of a version above one that it has; None: there are none.

        Raises:
            StorageError: they cannot be read now.
        """
        ...


class Reports(Protocol):
    """What devices reported; used on one event loop."""

    def latest(self) -> list[tuple[str, float, Status]]:
        """Devices that reported last: name, when (seconds since 1970), what. From any thread."""
        ...

    async def words(self, device: str, word_list: int, first: int, news: Sequence[str]) -> list[str]:
        """A device's list of words, with the new ones put to its end where they belong there."""
        ...

    async def keep(self, device: str, report: Report) -> None:
        """Keep a report; it outlives the process once this has returned."""
        ...

    async def apart(self, work: Callable[[], T]) -> T:
        """Do a little work with files or a database on a thread of the reports'."""
        ...

    async def close(self) -> None:
        """Let go."""
        ...
