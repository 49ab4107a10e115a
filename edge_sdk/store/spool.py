"""The spool: the frames that wait for the cloud, in order of worth, bounded in bytes and age.

The order stands in memory; the frame's file and its row keep it over restarts. `put` writes the file, in one sync, and
queues the row; whatever takes a frame out queues its last word, and the file goes once that is on the disk. So a frame
and the device's answer on it come together, and the cloud's answer and the frame's leaving are one transaction.
"""

from __future__ import annotations

import errno
import logging
import math
import os
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edge_sdk.durable.ballast import Ballast, is_full
from edge_sdk.durable.files import move, sync
from edge_sdk.durable.forks import OwnLock
from edge_sdk.errors import ConfigError, StorageError
from edge_sdk.store import events
from edge_sdk.store.archive import Archive
from edge_sdk.store.frames import (
    STEP_BACK,
    SUFFIX,
    SpoolItem,
    check_item,
    decode_frame,
    encode_frame,
    provisional,
    put_aside,
    rank_of,
    write_frame,
)
from edge_sdk.store.order import Order, Place
from edge_sdk.store.others import OtherFrames
from edge_sdk.store.recovery import DAMAGED, FRAMES
from edge_sdk.store.schema import (
    ANSWER,
    FINISH,
    NO_MORE_TRIES,
    OPEN,
    RERANK,
    SENT,
    TRIED,
    UNTRIED,
    WAIT,
    Change,
    FrameRecord,
    State,
    TopK,
    first_row,
    same_labels,
    top_k_text,
)
from edge_sdk.store.table import FrameTable
from edge_sdk.types import Answer, Reason

__all__ = ["Loss", "Spool", "SpoolItem"]

_log = logging.getLogger(__name__)

_EXPIRY_CHECK_NS = 60_000_000_000
_FULL = "the spool was full"


@dataclass(frozen=True, slots=True)
class Loss:
    """A frame that left the spool without an answer from the cloud.

    Attributes:
        frame_id: the frame's id.
        reason: `EVICTED`, `EXPIRED`, `DAMAGED` or `PRIVATE`.
        note: a remark.
    """

    frame_id: str
    reason: Reason
    note: str = ""


class Spool:
    """The frames that wait. Threads may share it.

    Args:
        table: the table of frames, just opened.
        max_bytes: most bytes of the frames' files; the least valuable frames are evicted beyond that.
        max_age_s: seconds that a frame may wait before the device's answer becomes final, on the store's clock. None:
            unlimited.
        durable: `put` returns when the frame is on the disk; False: it is there with the next group (`sync`).
        ballast: no frame is taken until this room is set by.
        archive: takes the pictures of frames that were sent, and gives way on a full disk; None: they go.
        label_set: of the little model. Frames of a model with other labels wait for their own model: they are not
            counted and not sent, leave at a start when they are too old, and give way when room is short. "": all
            frames are this model's.

    Raises:
        ConfigError: a number is not above 0.
    """

    def __init__(
        self,
        table: FrameTable,
        *,
        max_bytes: int = 200_000_000,
        max_age_s: float | None = None,
        durable: bool = True,
        ballast: Ballast | None = None,
        archive: Archive | None = None,
        label_set: str = "",
    ) -> None:
        if max_bytes <= 0:
            raise ConfigError(f"expected a spool of more than 0 bytes; got {max_bytes}")
        if max_age_s is not None and not max_age_s > 0:
            raise ConfigError(f"expected max_age_s above 0, or None; got {max_age_s:g}")
        self._table = table
        self._frames, self._damaged = table.folder / FRAMES, table.folder / DAMAGED
        self._max_bytes = max_bytes
        self._max_age_ns = None if max_age_s is None else int(max_age_s * 1e9)
        self._durable, self._ballast, self._archive = durable, ballast, archive
        self._lock = OwnLock(threading.RLock(), "the spool")
        self._order = Order()
        self._unsynced: list[str] = []
        self._label_set = label_set
        self._others = OtherFrames(table)
        self._expiry_due_ns = 0
        self._telling = 0
        self._listeners: list[Callable[[], None]] = []
        self._loss_listeners: list[Callable[[Sequence[Loss]], None]] = []

    def load(self) -> None:
        """Take over the frames that the table says wait."""
        waits = f"SELECT frame_id, rank, handled_ns, bytes, audit FROM frames WHERE {OPEN} AND picture IS NOT NULL"
        own, values = same_labels(self._label_set)
        rows = self._table.read(f"{waits} AND {own}", values)
        others = self._table.read(f"{waits} AND NOT {own}", values)
        tries = dict(self._table.read("SELECT frame_id, spent FROM tries"))
        if tries:
            self._table.change(Change(NO_MORE_TRIES, ()))
        oldest_ns = 0 if self._max_age_ns is None else self._table.now_ns() - self._max_age_ns
        with self._lock:
            for frame_id, rank, handled_ns, size, audit in rows:
                if frame_id not in self._order:
                    self._order.add(Place(frame_id, rank, handled_ns, size, tries.get(frame_id, 0.0), bool(audit)))
            self._others.load(others, oldest_ns)
        self.let_go_private()

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, frame_id: str) -> bool:
        return frame_id in self._order

    @property
    def size_bytes(self) -> int:
        """Bytes of the frames' files."""
        return self._order.bytes

    @property
    def is_telling(self) -> bool:
        """Frames have left without an answer, and the listeners do not know of all of them yet."""
        return self._telling > 0

    def ids(self) -> tuple[str, ...]:
        """The ids of all frames, in the order in which `next` gives them."""
        with self._lock:
            return tuple(self._order)

    def add_listener(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each frame that is put, in the thread that puts it."""
        self._listeners.append(listener)

    def add_loss_listener(self, listener: Callable[[Sequence[Loss]], None]) -> None:
        """Call `listener` with frames that left without an answer, in the thread of that `put` or `next`."""
        self._loss_listeners.append(listener)

    def put(self, item: SpoolItem, record: FrameRecord | None = None, *also: Change) -> tuple[str, ...]:
        """Store a frame and the device's word on it. An id that waits already changes nothing.

        Args:
            item: the frame.
            record: what the device says of it; its answer is not final. None: nothing but what `item` tells.
            also: changes that are committed together with it, where it gets a place.

        Returns:
            The ids of the frames that were evicted to make room, lowest rank first; the loss listeners hear of them. Or
            the item's own id alone: the frames that are there are all worth more, or it is larger than the spool. The
            device's answers on them are final.

        Raises:
            StorageError: the disk is full or refuses; the spool is as before, and the table knows nothing of the frame.
            ConfigError: the item's id, gain or capture time cannot be stored.
        """
        check_item(item)
        record = record or provisional(item)
        handled_ns = self._table.now_ns()
        content = encode_frame(record, item, handled_ns)
        rank = rank_of(item.gain, len(item.image), handled_ns)
        place = Place(item.frame_id, rank, handled_ns, len(content), audit=record.audit)
        with self._lock:
            if item.frame_id in self._order:
                return ()
            self._others.make_room(self._max_bytes - self._order.bytes - place.bytes, _FULL)
            evicted = self._order.victims(place, self._max_bytes)
            if evicted == [item.frame_id]:
                said = replace(record.answer, final=True, reason=Reason.EVICTED)
                lost = replace(record, answer=said, note=_FULL)
                self._table.insert(lost, State.LOST, handled_ns)
                return (item.frame_id,)
            self._write(item.frame_id, content)
            picture = f"{FRAMES}/{item.frame_id}{SUFFIX}"
            row = first_row(record, State.WAITING, handled_ns, picture, place.bytes, rank)
            self._table.change(Change(WAIT, row), *also)
            self._order.add(place)
            self._lose(evicted, Reason.EVICTED, _FULL)
        self._tell([Loss(frame_id, Reason.EVICTED, _FULL) for frame_id in evicted])
        for listener in self._listeners:
            listener()
        return tuple(evicted)

    def next(self, exclude: Collection[str] = ()) -> SpoolItem | None:
        """The frame of the highest rank (`rank_of`) whose id is not in `exclude`; None if there is none.

        The frame stays until it is answered, refused or acknowledged. Frames that are too old leave, and damaged ones:
        their files are moved to the folder `damaged`, and logged. The loss listeners hear of both.
        """
        losses: list[Loss] = []
        with self._lock:
            if expired := self._expired(exclude):
                losses += [Loss(frame_id, Reason.EXPIRED) for frame_id in expired]
                self._lose(expired, Reason.EXPIRED)
            found = self._first_sound(exclude, losses)
        self._tell(losses)
        return found

    def peek(self, frame_id: str) -> SpoolItem | None:
        """The frame of this id, or None if it does not wait here or cannot be read."""
        try:
            return decode_frame(self._path(frame_id).read_bytes(), frame_id).item if frame_id in self._order else None
        except (OSError, ValueError):
            return None

    def mark_sent(self, frame_id: str) -> None:
        """The frame is on its way to the cloud, and still waits."""
        self._table.change(Change(SENT, (frame_id,)))

    @property
    def any_tried(self) -> bool:
        """Whether some frame that waits was sent before, and failed."""
        return self._order.any_tried

    def tries(self, frame_id: str) -> float:
        """The tries that were spent on a frame; 0 if it does not wait."""
        with self._lock:
            return self._order.tries(frame_id)

    def step_back(self, frame_id: str, tries: float) -> float:
        """A frame was sent and not answered: it steps back behind others, as if it were worth far less.

        Args:
            frame_id: the frame.
            tries: to be counted.

        Returns:
            The tries spent on it in all, over restarts; `tries` where it does not wait (any more).
        """
        with self._lock:
            place = self._order.pop(frame_id)
            if place is None:
                return tries
            spent = place.tries + tries
            steps = math.ceil(spent) - math.ceil(place.tries)
            place = replace(place, rank=place.rank - steps * STEP_BACK, tries=spent)
            self._order.add(place)
            self._table.change(
                Change(TRIED, (frame_id, place.tries)),
                Change(RERANK, (place.rank, frame_id)),
            )
        return place.tries

    def answer(
        self,
        answer: Answer,
        *,
        top_k: TopK = (),
        model: str = "",
        disagreed: bool = False,
        private: bool = False,
        then: Callable[[], None] | None = None,
        also: Sequence[Change] = (),
    ) -> bool:
        """The cloud's answer and the frame's leaving, as one.

        Args:
            answer: the cloud's.
            top_k: its likeliest labels.
            model: the big model's name.
            disagreed: the device said another label; its picture is kept longer.
            private: its picture may not be kept.
            then: called once it is on the disk.
            also: changes that are committed together with it.

        Returns:
            False if the frame does not wait (any more): nothing is changed.
        """
        values = (answer.label, float(answer.confidence), top_k_text(top_k), model, answer.level or None, answer.exit)
        return self._leave(answer.frame_id, ANSWER, values, kept=not private, disagreed=disagreed, then=then, also=also)

    def finish(self, frame_id: str, reason: Reason, note: str = "", *, state: State = State.FINAL) -> bool:
        """The device's answer is final, and the frame leaves; False if it does not wait (any more).

        So is the device's word on the event that the frame stands for.
        """
        event = events.left(frame_id, state, reason)
        return self._leave(frame_id, FINISH, (state, reason, note, note), kept=state is State.FINAL, also=[event])

    def ack(self, *frame_ids: str) -> None:
        """Take frames out that need no answer; an id that is not there changes nothing."""
        for frame_id in frame_ids:
            self.finish(frame_id, Reason.REFUSED)

    def let_go_private(self) -> None:
        """The frames that by the archive's rule may be on no disk leave; the loss listeners hear of them."""
        private = [] if self._archive is None else self._archive.private(OPEN)
        with self._lock:
            ids = [frame_id for frame_id in private if frame_id in self._order]
            self._lose(ids, Reason.PRIVATE)
            self._others.let_go(set(private).difference(ids), Reason.PRIVATE)
        self._tell([Loss(frame_id, Reason.PRIVATE) for frame_id in ids])

    def sync(self) -> None:
        """Put the pictures on the disk that are not there yet."""
        with self._lock:
            unsynced, self._unsynced = self._unsynced, []
            waiting = [frame_id for frame_id in unsynced if frame_id in self._order]
        for frame_id in waiting:
            try:
                sync(self._path(frame_id))
            except FileNotFoundError:  # it has left meanwhile
                continue
            except OSError as error:
                _log.error("spool: cannot sync %s: %s", self._path(frame_id), error)

    def _leave(
        self,
        frame_id: str,
        sql: str,
        values: tuple[object, ...],
        *,
        kept: bool,
        disagreed: bool = False,
        then: Callable[[], None] | None = None,
        also: Sequence[Change] = (),
    ) -> bool:
        with self._lock:
            place = self._order.pop(frame_id)
            if place is None:
                return False
            picture, rank = None, 0.0
            if kept and self._archive is not None:
                picture, rank = self._archive.take(
                    frame_id, place.bytes, place.handled_ns, audit=place.audit, disagreed=disagreed
                )

            def let_go(changed: bool) -> None:
                with self._lock:
                    if frame_id not in self._order:  # it was not put again meanwhile
                        move(self._path(frame_id), None if picture is None else self._table.folder / picture)
                if changed and then is not None:
                    then()

            self._table.change(Change(sql, (*values, picture, rank, frame_id), let_go), *also)
            if place.tries:
                self._table.change(Change(UNTRIED, (frame_id,)))
        return True

    def _lose(self, frame_ids: Sequence[str], reason: Reason, note: str = "") -> None:
        """Frames leave without an answer; `_tell` must follow, with the lock free."""
        self._telling += len(frame_ids)
        for frame_id in frame_ids:
            self.finish(frame_id, reason, note, state=State.LOST)

    def _tell(self, losses: Sequence[Loss]) -> None:
        if not losses:
            return
        try:
            for listener in self._loss_listeners:
                listener(losses)
        finally:
            with self._lock:
                self._telling -= len(losses)

    def _write(self, frame_id: str, content: bytes) -> None:
        try:
            if self._ballast is not None and not self._ballast.keep():
                raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: what is left is for the answers")
            try:
                write_frame(self._path(frame_id), content, durable=self._durable)
            except OSError as error:
                if self._archive is None or not (
                    is_full(error, self._frames) and self._archive.make_room(len(content))
                ):
                    raise
                write_frame(self._path(frame_id), content, durable=self._durable)
        except OSError as error:
            raise StorageError(f"cannot store frame {frame_id} in {self._frames}: {error}") from error
        if not self._durable:
            self._unsynced.append(frame_id)

    def _first_sound(self, exclude: Collection[str], losses: list[Loss]) -> SpoolItem | None:
        unreadable = set[str]()
        while (frame_id := self._order.first({*exclude, *unreadable})) is not None:
            path = self._path(frame_id)
            try:
                stored = decode_frame(path.read_bytes(), frame_id)
                if stored.item is not None:
                    return stored.item
                put_aside(path, self._damaged, "checksum of the picture")
            except FileNotFoundError:
                _log.warning("spool: %s is missing, the frame is passed over", path)
            except ValueError as error:
                put_aside(path, self._damaged, error)
            except OSError as error:
                _log.warning("spool: cannot read %s at present: %s", path, error)
                unreadable.add(frame_id)
                continue
            losses.append(Loss(frame_id, Reason.DAMAGED))
            self._lose([frame_id], Reason.DAMAGED)
        return None

    def _expired(self, exclude: Collection[str]) -> list[str]:
        """The frames that have waited too long, but not those in `exclude`: an answer may be on its way."""
        now_ns = self._table.now_ns()
        if self._max_age_ns is None or now_ns < self._expiry_due_ns:
            return []
        self._expiry_due_ns = now_ns + min(_EXPIRY_CHECK_NS, self._max_age_ns)
        oldest_ns = now_ns - self._max_age_ns
        expired = self._order.handled_before(oldest_ns, exclude)
        if expired:
            _log.warning("spool: %d frames have waited too long and leave", len(expired))
        return expired

    def _path(self, frame_id: str) -> Path:
        return self._frames / f"{frame_id}{SUFFIX}"
