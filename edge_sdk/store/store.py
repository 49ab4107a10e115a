"""The store: the device's one durable table of frames, and its views.

STATE/state.db      the table (`schema`)
STATE/frames/       a file for each frame that waits (`frames`)
STATE/pending/      pictures of open events (`pending`)
STATE/archive/      pictures that are kept after their last word
STATE/damaged/      files that could not be read
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from edge_sdk.archive_rule import ArchiveRule
from edge_sdk.config import StorageSettings
from edge_sdk.durable.ballast import Ballast, disk_bytes, is_full
from edge_sdk.durable.clock import ClockMark, ElapsedClock, current_boot_id, steady_s
from edge_sdk.durable.forks import Owner
from edge_sdk.durable.lock import FolderLock
from edge_sdk.errors import StorageError
from edge_sdk.store.archive import Archive
from edge_sdk.store.audits import take_over_counts
from edge_sdk.store.done_files import DoneFiles
from edge_sdk.store.frames import SpoolItem
from edge_sdk.store.journal import Journal
from edge_sdk.store.limits import RowLimits
from edge_sdk.store.pending import PENDING, Pending
from edge_sdk.store.recovery import ARCHIVE, DAMAGED, FRAMES, agree
from edge_sdk.store.schema import Change, FrameRecord, State
from edge_sdk.store.spool import Spool
from edge_sdk.store.table import FrameTable
from edge_sdk.store.takeover import take_over
from edge_sdk.store.unreported import Unreported

_log = logging.getLogger(__name__)

_SHARE = 4  # a table of more than a fourth of the disk could not be rebuilt beside a damaged one


class Store:
    """All frames of a device. Threads may share it; two processes may not.

    Args:
        folder: the state folder; created if missing. One of an older version is taken over.
        settings: what is kept, and for how long.
        spool_bytes: most bytes of frames that wait.
        labels: the little model's, for frames of an older version's folder.
        label_set: names the labels; frames of a model with others are kept, and kept apart ("": all are one's own).
        emptiness: as `Archive` takes it.
        ballast: room for opening the table on a full disk, and for answers.
        flush_interval_s: longest time until an answer is on the disk by itself, seconds.
        clock: wall time in seconds since 1970; tells how long the device was off.
        steady: seconds that never run backwards while the machine is up.
        boot_id: names the time the machine is up; None asks the system.

    Attributes:
        spool: the frames that wait for the cloud.
        journal: what was answered.
        archive: the pictures that are kept.
        unreported: the answers that the server has not been told of yet.
        pending: the pictures of open events.

    Raises:
        StorageError: the folder cannot be used, or a process holds it.
        ConfigError: a number is not above 0.
    """

    def __init__(
        self,
        folder: Path,
        settings: StorageSettings | None = None,
        *,
        spool_bytes: int = 200_000_000,
        labels: tuple[str, ...] = (),
        label_set: str = "",
        emptiness: Callable[[NDArray[np.float32]], float] | None = None,
        ballast: Ballast | None = None,
        flush_interval_s: float = 1.0,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = steady_s,
        boot_id: str | None = None,
    ) -> None:
        settings = settings or StorageSettings()
        self._owner = Owner("the store")
        boot = current_boot_id() if boot_id is None else boot_id

        def new_clock(mark: ClockMark | None, from_ns: int) -> ElapsedClock:
            mark = mark or ClockMark(from_ns, clock(), steady(), boot)
            return ElapsedClock(mark, wall=clock, steady=steady, boot_id=boot)

        with ExitStack() as opened:
            try:
                for name in (FRAMES, PENDING, ARCHIVE, DAMAGED):
                    (folder / name).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StorageError(f"expected a folder that can be written at {folder}; {error}") from error
            opened.callback(FolderLock(folder, "a state folder").close)
            share = disk_bytes(folder) // _SHARE
            most = share if settings.journal_bytes is None else min(settings.journal_bytes, share)
            limits = RowLimits(settings.journal_rows, most, settings.journal_age_s)
            self._table = FrameTable(
                folder,
                limits,
                new_clock,
                ballast=ballast,
                flush_interval_s=min(flush_interval_s, settings.durable_s or flush_interval_s),
                repeats_s=settings.repeats_s,
            )
            opened.callback(self._table.close)
            self.journal = Journal(
                folder, flush=self._table.flush, found_damaged=self._table.found_damaged, label_set=label_set
            )
            self.archive = Archive(self._table, settings.archive_rule, emptiness=emptiness)
            self.unreported = Unreported(self._table)
            self.spool = Spool(
                self._table,
                max_bytes=spool_bytes,
                max_age_s=settings.spool_age_s,
                durable=settings.durable_s is None,
                ballast=ballast,
                archive=self.archive,
                label_set=label_set,
            )
            self.pending = Pending(folder, durable=settings.durable_s is None)
            try:
                self._table.run(lambda connection: self._settle(connection, folder, labels))
                self.spool.load()
                self.archive.load()
            except StorageError:  # a full disk: the table comes when there is room
                pass
            except sqlite3.Error as error:
                if not is_full(error, folder):
                    raise StorageError(f"cannot write {folder}: {error}") from error
                _log.error("%s is full: what this start found to mend waits for the next one", folder)
                with suppress(StorageError, sqlite3.Error):
                    self.spool.load()
                    self.archive.load()
            self._table.start(self._before_commit, self.archive.trim)
            self._opened = opened.pop_all()

    def _settle(self, connection: sqlite3.Connection, folder: Path, labels: tuple[str, ...]) -> None:
        take_over(connection, folder, labels, self._table.now_ns())
        take_over_counts(connection)
        agree(connection, folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def fault(self) -> str | None:
        """Why answers are kept in memory at present (a full disk), or None."""
        return self._table.fault

    def exit(
        self,
        record: FrameRecord,
        item: SpoolItem | None = None,
        *,
        state: State = State.FINAL,
        repeats: bool = False,
    ) -> None:
        """Write down a frame whose answer is final; costs microseconds.

        Args:
            record: the device's word on it.
            item: with its picture, where the `archive` wants it; None: the picture is not kept.
            state: `LOST` for a frame that could not be stored.
            repeats: it says what the one before said, and may wait for others (`StorageSettings.repeats_s`).
        """
        handled_ns = self._table.now_ns()
        kept = None if item is None else self.archive.keep(record, item, handled_ns)
        picture = () if kept is None else (kept.picture, kept.size, kept.rank)
        changes = () if kept is None else kept.changes
        self._table.insert(record, state, handled_ns, *picture, changes=changes, repeats=repeats and kept is None)

    def renew_archive(self, rule: ArchiveRule | None) -> None:
        """Take over another rule for the archive; frames that wait and may be on no disk by it exit."""
        self.archive.renew(rule)
        self.spool.let_go_private()
        self.archive.let_go_private()

    def write(self, *changes: Change) -> None:
        """Changes that are committed together, such as those of `edge_sdk.store.events`; costs microseconds."""
        self._table.change(*changes)

    def now_ns(self) -> int:
        """The store's clock: nanoseconds that have passed, over restarts too."""
        return self._table.now_ns()

    def done_files(self, model: str) -> DoneFiles:
        """The files of cards that this version of the little model has done."""
        return DoneFiles(self._table, model)

    def flush(self) -> bool:
        """Put everything on the disk. False if that failed (`fault`); it is tried again later."""
        return self._table.flush()

    def close(self) -> None:
        """Write everything down and release the folder. A second call does nothing, nor does one in a forked child."""
        if not self._owner.is_here:
            return
        self._opened.close()

    def _before_commit(self) -> None:
        self.spool.sync()
        self.pending.sync()
