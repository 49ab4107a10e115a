"""The archive: pictures that are kept after their last word, chosen by a rule and bounded in bytes and age.

The oldest and least interesting go first: a frame on which device and cloud disagree counts as 30 days younger, one
that went to the cloud as 7, so the order is that of one number that never changes. What waits in the spool comes
first: on a full disk the archive gives way.

Of an event one exit may be kept: the frame that looks least empty. A better one's row and the end of the former's are
one transaction, and the former's file goes after it, so a stop leaves one of the two.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_sdk.archive_rule import ArchiveRule, Exits
from edge_sdk.durable.ballast import free_bytes
from edge_sdk.durable.files import remove
from edge_sdk.durable.forks import OwnLock
from edge_sdk.errors import StorageError
from edge_sdk.store.frames import SUFFIX, SpoolItem, decode_frame, encode_frame, write_frame
from edge_sdk.store.recovery import ARCHIVE
from edge_sdk.store.schema import ARCHIVED, COLUMNS, FrameRecord, JournalEntry, entry_of
from edge_sdk.store.table import Change, FrameTable
from edge_sdk.types import Prediction

_log = logging.getLogger(__name__)

_DAY_NS = 86_400_000_000_000
_UNSURE_DAYS, _DISAGREED_DAYS = 7, 30
_CHECK_NS = 600_000_000_000
_AT_ONCE = 256
_MARGIN = 1 << 16
_OPEN_EVENTS = 256
_LEAST_FREE = 32 << 20
_NO_PICTURE = "UPDATE frames SET picture = NULL, rank = 0 WHERE frame_id = ?"


class Kept(NamedTuple):
    """A picture that was written.

    Attributes:
        picture: its place below the state folder.
        size: bytes.
        rank: the lowest goes first.
        changes: to be committed with the frame's row.
    """

    picture: str
    size: int
    rank: float
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class _Best:
    """The exit of an event that is kept."""

    emptiness: float
    frame_id: str
    size: int


class Archive:
    """Pictures of settled frames. Threads may share it.

    Args:
        table: the table of frames.
        rule: which pictures are kept; None: none are.
        emptiness: how empty a frame looks by the little model's probabilities, `float32 (C,)`, in [0, 1]; None: how
            unsure the model is.
        least_free: bytes of the disk that the archive leaves free.
    """

    def __init__(
        self,
        table: FrameTable,
        rule: ArchiveRule | None = None,
        *,
        emptiness: Callable[[NDArray[np.float32]], float] | None = None,
        least_free: int = _LEAST_FREE,
    ) -> None:
        self._table, self._rule, self._least_free = table, rule, least_free
        self._emptiness = emptiness or (lambda chances: 1.0 - float(chances.max(initial=0.0)))
        self._lock = OwnLock(threading.Lock(), "the archive")
        self._bytes = 0
        self._due_ns = 0
        self._best: dict[str, _Best] = {}

    @property
    def rule(self) -> ArchiveRule | None:
        """Which pictures are kept; None: none are."""
        return self._rule

    def renew(self, rule: ArchiveRule | None) -> None:
        """Take over another rule; what is too much by it goes with the next group of rows."""
        self._rule, self._due_ns = rule, 0

    def wants(self, record: FrameRecord, prediction: Prediction) -> bool:
        """Whether the picture of this frame, which exits, is to be kept."""
        rule = self._rule
        if rule is None or self.refuses(prediction.labels, prediction.probabilities.tolist()):
            return False
        exits = rule.exits_of(record.likeliest)
        if exits is not Exits.EVENT:
            return exits is Exits.ALL
        best = self._best.get(record.event)
        return bool(record.event) and (best is None or self._emptiness(prediction.probabilities) < best.emptiness)

    def refuses(self, labels: Sequence[str], chances: Sequence[float], said: str | None = None) -> bool:
        """Whether a frame of these probabilities, or of which `said` is said, may be on no disk."""
        rule = self._rule
        if rule is None or not rule.never_store:
            return False
        return said in rule.never_store or rule.is_never_stored(dict(zip(labels, chances, strict=False)))

    @property
    def size_bytes(self) -> int:
        """Bytes of the pictures."""
        return self._bytes

    def load(self) -> None:
        """Count what is kept, make rows and files agree, and remove pictures that may not be stored (any more).

        A stop may leave a file without a row, and where room was made, which removes files first, a row without a file.
        """
        folder = self._table.folder / ARCHIVE
        sizes = dict(self._table.read(f"SELECT frame_id, bytes FROM frames WHERE {ARCHIVED}"))
        files = {path.stem for path in folder.glob(f"*{SUFFIX}")}
        for name in files.difference(sizes):
            remove(folder / f"{name}{SUFFIX}")
        if missing := set(sizes).difference(files):
            try:
                with self._table.transaction() as connection:
                    connection.executemany(_NO_PICTURE, [(frame_id,) for frame_id in missing])
            except (sqlite3.Error, StorageError) as error:
                _log.error("archive: %d pictures are gone, and their rows cannot be changed: %s", len(missing), error)
            sizes = {frame_id: size for frame_id, size in sizes.items() if frame_id in files}
        with self._lock:
            self._bytes = sum(sizes.values())
        self.let_go_private()
        self.trim()

    def private(self, condition: str) -> list[str]:
        """The frames under an SQL condition that may be on no disk, by the likeliest labels in their rows."""
        rule = self._rule
        if rule is None or not rule.never_store:
            return []
        named = " OR ".join(
            ["instr(top_k, ?) OR instr(cloud_top_k, ?) OR label = ? OR cloud_label = ?"] * len(rule.never_store)
        )
        values = [
            text for name in rule.never_store for text in (*[json.dumps(name, ensure_ascii=False)] * 2, name, name)
        ]
        rows = self._table.read(f"SELECT {COLUMNS} FROM frames WHERE {condition} AND ({named})", values)
        return [entry.answer.frame_id for entry in map(entry_of, rows) if self._is_private(rule, entry)]

    def _is_private(self, rule: ArchiveRule, entry: JournalEntry) -> bool:
        device, cloud = entry.device, entry.cloud
        chances = dict(entry.top_k) or {device.label or "": device.confidence}
        if rule.is_never_stored(chances):
            return True
        return cloud is not None and (cloud.label in rule.never_store or rule.is_never_stored(dict(entry.cloud_top_k)))

    def take(
        self, frame_id: str, size: int, handled_ns: int, *, audit: bool = False, disagreed: bool = False
    ) -> tuple[str | None, float]:
        """Where the picture of a frame that leaves the spool goes, and its rank; None: it is not kept."""
        rule = self._rule
        if rule is None or size > rule.max_bytes or not (rule.audits if audit else rule.offloads):
            return None, 0.0
        days = _DISAGREED_DAYS if disagreed else _UNSURE_DAYS
        with self._lock:
            self._bytes += size
        return f"{ARCHIVE}/{frame_id}{SUFFIX}", float(handled_ns + days * _DAY_NS)

    def keep(self, record: FrameRecord, item: SpoolItem, handled_ns: int) -> Kept | None:
        """Write the picture of a frame that exits and is wanted; None where there is no room for it.

        It is not synced: a power cut may cost the last pictures.
        """
        rule, content = self._rule, encode_frame(record, item, handled_ns)
        name = f"{ARCHIVE}/{item.frame_id}{SUFFIX}"
        if rule is None or len(content) > rule.max_bytes:
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
        kept = Kept(name, len(content), float(handled_ns))
        if rule.exits_of(record.likeliest) is not Exits.EVENT or not record.event:
            return kept
        return kept._replace(changes=self._succeed(record.event, item, len(content)))

    def _succeed(self, event: str, item: SpoolItem, size: int) -> tuple[Change, ...]:
        """A frame takes the place of its event; what ends the former's."""
        with self._lock:
            former = self._best.pop(event, None)
            self._best[event] = _Best(self._emptiness(item.probabilities), item.frame_id, size)
            if len(self._best) > _OPEN_EVENTS:
                del self._best[next(iter(self._best))]
            if former is None or former.frame_id == item.frame_id:
                return ()
            self._bytes -= former.size

        def let_go(changed: bool) -> None:
            if changed:
                remove(self._table.folder / ARCHIVE / f"{former.frame_id}{SUFFIX}")
            else:  # it had gone already, and was counted then
                with self._lock:
                    self._bytes += former.size

        return (Change(f"{_NO_PICTURE} AND {ARCHIVED}", (former.frame_id,), let_go),)

    def give_up(self, frame_id: str, event: str) -> None:
        """A frame of an event is to wait in the spool after all, which has its picture."""
        path = self._table.folder / ARCHIVE / f"{frame_id}{SUFFIX}"
        try:
            size = path.stat().st_size
        except OSError:
            return
        remove(path)
        with self._lock:
            self._bytes -= size
            if event in self._best and self._best[event].frame_id == frame_id:
                del self._best[event]

    def read(self, frame_id: str) -> bytes | None:
        """The encoded picture of a frame that is kept, or None."""
        row = self._table.read(f"SELECT picture FROM frames WHERE frame_id = ? AND {ARCHIVED}", [frame_id])
        try:
            path = self._table.folder / row[0][0] if row else None
            item = None if path is None else decode_frame(path.read_bytes(), frame_id).item
        except (OSError, ValueError) as error:
            _log.warning("archive: cannot read %s: %s", frame_id, error)
            return None
        return None if item is None else item.image

    def trim(self) -> None:
        """Let go of what is too much or too old; called by who commits, after it."""
        now_ns, rule = self._table.now_ns(), self._rule
        most = 0 if rule is None else rule.max_bytes
        age_ns = None if rule is None or rule.max_age_s is None else int(rule.max_age_s * 1e9)
        if age_ns is not None and now_ns >= self._due_ns:
            self._due_ns = now_ns + min(_CHECK_NS, age_ns)
            while self._let_go(f"handled_ns < {now_ns - age_ns}", self._bytes):
                pass
        if self._bytes > most:
            excess = self._bytes - most * 49 // 50
            while excess > 0 and (freed := self._let_go("1", excess)):
                excess -= freed

    def let_go_private(self) -> None:
        """Remove the pictures that may not be stored (any more)."""
        for start in range(0, len(ids := self.private(ARCHIVED)), _AT_ONCE):
            names = ", ".join(f"'{frame_id}'" for frame_id in ids[start : start + _AT_ONCE])
            self._let_go(f"frame_id IN ({names})", self._bytes + 1)

    def make_room(self, size: int) -> bool:
        """Give way to a frame that waits, on a full disk; whether there is room for `size` bytes now."""
        while (short := size + _MARGIN - free_bytes(self._table.folder)) > 0 and self._let_go("1", short):
            pass
        return short <= 0

    def _let_go(self, condition: str, excess: int) -> int:
        """Remove some pictures, the lowest rank first, until `excess` bytes are free; how many bytes that were."""
        going: list[tuple[str, int, str]] = []
        which = f"{ARCHIVED} AND {condition} ORDER BY rank LIMIT {_AT_ONCE}"
        try:
            for row in self._table.read(f"SELECT frame_id, bytes, picture FROM frames WHERE {which}", queued=False):
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
