"""The archive: pictures that are kept after their last word, bounded in bytes and age.

The oldest and least interesting go first: a frame on which device and cloud disagree counts as 30 days younger, one
that went to the cloud as 7, so the order is that of one number that never changes. What waits in the spool comes
first: on a full disk the archive gives way.
"""

from __future__ import annotations

import logging
import sqlite3
import threading

from edge_sdk.durable.ballast import free_bytes
from edge_sdk.durable.files import remove
from edge_sdk.durable.forks import OwnLock
from edge_sdk.errors import StorageError
from edge_sdk.store.frames import SUFFIX, SpoolItem, decode_frame, encode_frame, write_frame
from edge_sdk.store.recovery import ARCHIVE
from edge_sdk.store.schema import OPEN, FrameRecord
from edge_sdk.store.table import FrameTable

_log = logging.getLogger(__name__)

_DAY_NS = 86_400_000_000_000
_UNSURE_DAYS, _DISAGREED_DAYS = 7, 30
_CHECK_NS = 600_000_000_000
_AT_ONCE = 256
_MARGIN = 1 << 16
_LEAST_FREE = 32 << 20
_KEPT = f"picture IS NOT NULL AND rank >= 0 AND NOT ({OPEN})"
_NO_PICTURE = "UPDATE frames SET picture = NULL, rank = 0 WHERE frame_id = ?"


class Archive:
    """Pictures of settled frames. Threads may share it.

    Args:
        table: the table of frames.
        max_bytes: most bytes of pictures; 0: none are kept.
        max_age_s: seconds for which a picture is kept, on the store's clock; None: unlimited.
        exits: keep the pictures of frames that exit too, not only of those that went to the cloud.
        least_free: bytes of the disk that the archive leaves free.
    """

    def __init__(
        self,
        table: FrameTable,
        *,
        max_bytes: int = 0,
        max_age_s: float | None = None,
        exits: bool = True,
        least_free: int = _LEAST_FREE,
    ) -> None:
        self._table, self._max_bytes, self._least_free = table, max_bytes, least_free
        self._max_age_ns = None if max_age_s is None else int(max_age_s * 1e9)
        self._exits = exits and max_bytes > 0
        self._lock = OwnLock(threading.Lock(), "the archive")
        self._bytes = 0
        self._due_ns = 0

    @property
    def wants_exits(self) -> bool:
        """Pictures of frames that exit are to be kept."""
        return self._exits

    @property
    def size_bytes(self) -> int:
        """Bytes of the pictures."""
        return self._bytes

    def load(self) -> None:
        """Count what is kept, and remove files that no row names."""
        folder = self._table.folder / ARCHIVE
        rows = self._table.read(f"SELECT frame_id, bytes FROM frames WHERE {_KEPT}")
        sizes = dict(rows)
        for path in folder.glob(f"*{SUFFIX}"):
            if path.stem not in sizes:
                remove(path)
        with self._lock:
            self._bytes = sum(sizes.values())
        self.trim()

    def take(self, frame_id: str, size: int, handled_ns: int, *, disagreed: bool = False) -> tuple[str | None, float]:
        """Where the picture of a frame that leaves the spool goes, and its rank; None: it is not kept."""
        if size > self._max_bytes:
            return None, 0.0
        days = _DISAGREED_DAYS if disagreed else _UNSURE_DAYS
        with self._lock:
            self._bytes += size
        return f"{ARCHIVE}/{frame_id}{SUFFIX}", float(handled_ns + days * _DAY_NS)

    def keep(self, record: FrameRecord, item: SpoolItem, handled_ns: int) -> tuple[str, int, float] | None:
        """Write the picture of a frame that exits: its place, bytes and rank; None where there is no room for it.

        It is not synced: a power cut may cost the last pictures.
        """
        content = encode_frame(record, item, handled_ns)
        name = f"{ARCHIVE}/{item.frame_id}{SUFFIX}"
        if len(content) > self._max_bytes:
            return None
        try:
            if free_bytes(self._table.folder) < self._least_free:
                return None
            write_frame(self._table.folder / name, content, durable=False)
        except OSError as error:
            _log.warning("archive: cannot keep %s: %s", item.frame_id, error)
            return None
        with self._lock:
            self._bytes += len(content)
        return name, len(content), float(handled_ns)

    def read(self, frame_id: str) -> bytes | None:
        """The encoded picture of a frame that is kept, or None."""
        row = self._table.read(f"SELECT picture FROM frames WHERE frame_id = ? AND {_KEPT}", [frame_id])
        try:
            path = self._table.folder / row[0][0] if row else None
            item = None if path is None else decode_frame(path.read_bytes(), frame_id).item
        except (OSError, ValueError) as error:
            _log.warning("archive: cannot read %s: %s", frame_id, error)
            return None
        return None if item is None else item.image

    def trim(self) -> None:
        """Let go of what is too much or too old; called by the thread that commits."""
        now_ns = self._table.now_ns()
        if self._max_age_ns is not None and now_ns >= self._due_ns:
            self._due_ns = now_ns + min(_CHECK_NS, self._max_age_ns)
            while self._let_go(f"handled_ns < {now_ns - self._max_age_ns}", self._bytes):
                pass
        if self._bytes > self._max_bytes:
            excess = self._bytes - self._max_bytes * 49 // 50
            while excess > 0 and (freed := self._let_go("1", excess)):
                excess -= freed

    def make_room(self, size: int) -> bool:
        """Give way to a frame that waits, on a full disk; whether there is room for `size` bytes now."""
        while (short := size + _MARGIN - free_bytes(self._table.folder)) > 0 and self._let_go("1", short):
            pass
        return short <= 0

    def _let_go(self, condition: str, excess: int) -> int:
        """Remove some pictures, the lowest rank first, until `excess` bytes are free; how many bytes that were."""
        going: list[tuple[str, int, str]] = []
        sql = (
            f"SELECT frame_id, bytes, picture FROM frames WHERE {_KEPT} AND {condition} ORDER BY rank LIMIT {_AT_ONCE}"
        )
        try:
            for row in self._table.read(sql, queued=False):
                if sum(size for _, size, _ in going) < excess:
                    going.append(row)
                    remove(self._table.folder / row[2])
            with self._table.transaction() as connection:
                connection.executemany(_NO_PICTURE, [(frame_id,) for frame_id, _, _ in going])
        except (sqlite3.Error, StorageError) as error:
            _log.error("archive: %s", error)
            return 0
        freed = sum(size for _, size, _ in going)
        with self._lock:
            self._bytes -= freed
        return freed
