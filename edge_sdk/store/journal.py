"""The journal: what was answered, queryable while the device runs, by this process or another one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Self, TypeVar

from edge_sdk.durable.database import readable
from edge_sdk.errors import ConfigError, StorageError
from edge_sdk.store.audits import AuditCounts, Audits, read_audits, read_counts
from edge_sdk.store.events import COLUMNS as EVENT_COLUMNS
from edge_sdk.store.events import EventEntry
from edge_sdk.store.events import entry_of as event_of
from edge_sdk.store.schema import (
    ARCHIVED,
    COLUMNS,
    LAST_LABEL,
    OPEN,
    VERSION,
    JournalEntry,
    State,
    entry_of,
    microseconds,
    same_labels,
)
from edge_sdk.store.table import FILE
from edge_sdk.types import Answer, Origin, Reason

T = TypeVar("T")
__all__ = ["EventEntry", "Journal", "JournalEntry"]


class Journal:
    """Every answer of a device, one entry for each frame. Threads may share it.

    Args:
        path: the state folder, or `state.db` in it.
        flush: puts what is queued into the file, and says whether that is done; None: the file alone is read.
        found_damaged: told of an error that says that the file is damaged.
        label_set: of the little model; all but `get` and `entry` look at the frames of models with these labels alone.
            "": at all frames.

    Raises:
        StorageError: there is no such file, or it cannot be read.
    """

    def __init__(
        self,
        path: Path,
        *,
        flush: Callable[[], bool] | None = None,
        found_damaged: Callable[[Exception], None] | None = None,
        label_set: str = "",
    ) -> None:
        self._path = path / FILE if path.is_dir() else path
        self._flush, self._found_damaged = flush, found_damaged
        self._own, self._own_values = same_labels(label_set)
        if flush is None and not self._path.is_file():
            raise StorageError(f"expected the state folder of a device, or state.db in it; got {path}")

    @property
    def folder(self) -> Path:
        """The state folder."""
        return self._path.parent

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def flush(self) -> bool:
        """Put on the disk all answers so far. False if that failed (a full disk); it is tried again later."""
        return self._flush is None or self._flush()

    def get(self, frame_id: str) -> Answer | None:
        """The last word on a frame, or None if the frame is not known."""
        entry = self.entry(frame_id)
        return None if entry is None else entry.answer

    def entry(self, frame_id: str) -> JournalEntry | None:
        """All that is known of a frame, or None if it is not known."""
        with closing(self._select("WHERE frame_id = ?", [frame_id])) as entries:
            return next(entries, None)

    def query(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        label: str | None = None,
        origin: Origin | None = None,
        final: bool | None = None,
        reason: Reason | None = None,
        event: str | None = None,
        archived: bool = False,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> Iterator[JournalEntry]:
        """The frames that match, by capture time, oldest first.

        Args:
            since: captured at this time or later, with a time zone.
            until: captured before this time, with a time zone.
            label: the last word is this label.
            origin: the last word is from here.
            final: whether the last word is final.
            reason: why the last word is as it is.
            event: id of the event that they belong to.
            archived: only frames whose picture is kept after their last word.
            limit: at most `limit` frames.
            newest_first: turn the order round.

        Raises:
            StorageError: the file cannot be read.
            ConfigError: a time has no zone.
        """
        check_zones(since=since, until=until)
        last_reason = f"iif(state = '{State.ANSWERED}', '{Reason.CLOUD}', reason)"
        where, values = self._matching(
            ("captured_us >= ?", None if since is None else microseconds(since)),
            ("captured_us < ?", None if until is None else microseconds(until)),
            (f"{LAST_LABEL} = ?", label),
            (f"{last_reason} = ?", reason),
            (f"(state = '{State.ANSWERED}') = ?", None if origin is None else int(origin is Origin.CLOUD)),
            (f"(NOT ({OPEN})) = ?", None if final is None else int(final)),
            ("event = ?", event),
            (f"({ARCHIVED}) = ?", 1 if archived else None),
        )
        order = "DESC" if newest_first else "ASC"
        tail = f"WHERE {where} ORDER BY captured_us {order}, number {order} LIMIT ?"
        return self._select(tail, [*values, -1 if limit is None else limit])

    def _matching(self, *wanted: tuple[str, object]) -> tuple[str, list[object]]:
        """A condition on rows of the own labels, and its values, of those in `wanted` that are asked for (not None)."""
        asked = [(condition, value) for condition, value in wanted if value is not None]
        return " AND ".join([self._own, *(one for one, _ in asked)]), [*self._own_values, *(one for _, one in asked)]

    def archived_sizes(self) -> dict[str | None, tuple[int, int]]:
        """How many pictures are kept after their last word, and their bytes, by that word; the most bytes first."""
        sql = (
            f"SELECT {LAST_LABEL} AS last, count(*), sum(bytes) FROM frames WHERE {ARCHIVED} AND {self._own} "
            "GROUP BY last ORDER BY 3 DESC, 1"
        )
        return {label: (count, size) for label, count, size in self._read(sql, self._own_values)}

    def event(self, event_id: str) -> EventEntry | None:
        """All that is known of an event, or None if it is not known."""
        return next(iter(self._events("event_id = ?", [event_id])), None)

    def events(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        label: str | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[EventEntry]:
        """The events that match, by the time they began, oldest first; the open ones as they stand.

        Args:
            since: began at this time or later, with a time zone.
            until: began before this time, with a time zone.
            label: the last word is this label.
            limit: at most `limit` events.
            newest_first: turn the order round.

        Raises:
            StorageError: the file cannot be read.
            ConfigError: a time has no zone.
        """
        check_zones(since=since, until=until)
        where, values = self._matching(
            ("began_us >= ?", None if since is None else microseconds(since)),
            ("began_us < ?", None if until is None else microseconds(until)),
            ("last_label = ?", label),
        )
        order = "DESC" if newest_first else "ASC"
        tail = f"{where} ORDER BY began_us {order}, event_id {order} LIMIT ?"
        return self._events(tail, [*values, -1 if limit is None else limit])

    def _events(self, tail: str, values: Sequence[object]) -> list[EventEntry]:
        rows = self._read(f"SELECT {EVENT_COLUMNS} FROM events WHERE {tail}", values)
        return [entry for entry in map(event_of, rows) if entry is not None]

    def device_confidences(self, limit: int) -> list[tuple[float, bool]]:
        """Of the latest `limit` frames that the little model saw, in no order: how sure it was, and whether it looked
        at a region.
        """
        sql = (
            f"SELECT confidence, region IS NOT NULL FROM frames WHERE label IS NOT NULL AND {self._own} "
            "ORDER BY number DESC LIMIT ?"
        )
        return [(row[0], bool(row[1])) for row in self._read(sql, [*self._own_values, limit])]

    def counts(self) -> dict[str | None, int]:
        """How many frames have which label as their last word (None: no model was run), the most frequent first."""
        sql = f"SELECT {LAST_LABEL} AS last, count(*) FROM frames WHERE {self._own} GROUP BY last ORDER BY 2 DESC, 1"
        return dict(self._read(sql, self._own_values))

    def damaged(self) -> int:
        """How many frames were damaged on the disk while they waited, or lost the cloud's answer to damage."""
        sql = f"SELECT count(*) FROM frames WHERE reason = ? AND {self._own}"
        return int(self._read(sql, [Reason.DAMAGED, *self._own_values])[0][0])

    def audits(self, model: str) -> Audits:
        """What is known of the audits of one version of the little model.

        Args:
            model: its name, version and label set, as `JournalEntry.model` has them.

        Raises:
            StorageError: the file cannot be read.
        """
        return self._read_by(read_audits, model)

    def audit_counts(self, model: str) -> tuple[AuditCounts, ...]:
        """Of the confident frames and events that could be audited, the counts by chance; quicker than `audits`.

        Args:
            model: its name, version and label set, as `JournalEntry.model` has them.

        Raises:
            StorageError: the file cannot be read.
        """
        return self._read_by(read_counts, model)

    def _read_by(self, read: Callable[[sqlite3.Connection, str], T], model: str) -> T:
        self.flush()
        try:
            with closing(self._reader()) as reader:
                return read(reader, model)
        except (sqlite3.Error, ValueError, TypeError, OverflowError) as error:
            raise self._unreadable(error) from error

    def _read(self, sql: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        self.flush()
        try:
            with closing(self._reader()) as reader:
                return reader.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise self._unreadable(error) from error

    def _select(self, tail: str, values: Sequence[object]) -> Generator[JournalEntry, None, None]:
        self.flush()
        try:
            with closing(self._reader()) as reader:
                yield from map(entry_of, reader.execute(f"SELECT {COLUMNS} FROM frames {tail}", values))
        except (sqlite3.Error, ValueError, TypeError, OverflowError) as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> StorageError:
        if self._found_damaged is not None:
            self._found_damaged(error)
        elif (found := self._version()) is not None and found < VERSION:
            return StorageError(
                f"cannot read {self._path}: an older edge-sdk wrote it (schema {found}; this one has {VERSION}): "
                "start the device once, which takes it over"
            )
        return StorageError(f"cannot read {self._path}: {error}")

    def _version(self) -> int | None:
        """Of the file's schema; None: it cannot be read."""
        try:
            with closing(self._reader()) as reader:
                return int(reader.execute("PRAGMA user_version").fetchone()[0])
        except sqlite3.Error:
            return None

    def _reader(self) -> sqlite3.Connection:
        """A connection of its own, so that a long query does not hold up the writer."""
        reader = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)
        reader.text_factory = readable
        return reader


def check_zones(**moments: datetime | None) -> None:
    """Refuse times without a zone.

    Raises:
        ConfigError: one has none.
    """
    for name, moment in moments.items():
        if moment is not None and moment.tzinfo is None:
            raise ConfigError(f"expected {name} with a time zone; got the naive {moment.isoformat()}")
