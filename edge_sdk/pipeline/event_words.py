"""The last word on events that wait for the cloud.

The frame that stands for an event carries the device's word on it (`SpoolItem.event_probabilities`), so an event that
an earlier run decided is settled too.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from edge_sdk.errors import StorageError
from edge_sdk.model.taxonomy import Naming
from edge_sdk.pipeline.event_news import EventNews
from edge_sdk.pipeline.word import Word, by_label, weighted
from edge_sdk.store import events as rows
from edge_sdk.store.frames import SpoolItem
from edge_sdk.store.schema import Change
from edge_sdk.store.store import Store
from edge_sdk.types import Answer, Event, Origin, Reason

if TYPE_CHECKING:
    from edge_sdk.link.transport import Reply

_log = logging.getLogger(__name__)


class EventWords:
    """What is said of decided events, in order. Threads may share it.

    Args:
        store: has the events of earlier runs.
        labels: the little model's.
        ensemble: weight of the device's word in the last one, where the cloud has answered; the rest is the big
            model's.
        news: takes what is said to the application.
        naming: gives the last word the name that is sure enough; None: that of the likeliest class.
    """

    def __init__(
        self,
        store: Store,
        labels: Sequence[str],
        ensemble: float,
        news: EventNews,
        naming: Naming | None = None,
    ) -> None:
        self._naming = naming or Naming()
        self._store, self._labels, self._ensemble, self._news = store, tuple(labels), ensemble, news
        self._lock = threading.Lock()
        self._waiting: dict[str, Event] = {}  # by the frame that stands for it

    def expect(self, event: Event) -> None:
        """An event is about to wait: its frame may be answered from now on."""
        with self._lock:
            self._waiting[event.best_frame_id] = event

    def decided(self, event: Event) -> None:
        """Hand an event over; one that waited and has its last word already was handed over with that."""
        with self._lock:
            if event.final:
                self._waiting.pop(event.best_frame_id, None)
            elif event.best_frame_id not in self._waiting:
                return
            self._news.put(event)

    def stands(self, event: Event, frames: int, ended_at: datetime) -> Event:
        """An event that was decided and goes on, with the latest word on it."""
        with self._lock:
            return self._latest(event, frames, ended_at)

    def went_on(self, event: Event, frames: int, ended_at: datetime) -> None:
        """An event that was decided early has ended: it is handed over with its length."""
        with self._lock:
            latest = self._latest(event, frames, ended_at)
            latest = replace(latest, revision=latest.revision + 1)
            if not latest.final:
                self._waiting[event.best_frame_id] = latest
            self._news.put(latest)

    def _latest(self, event: Event, frames: int, ended_at: datetime) -> Event:
        latest = self._waiting.get(event.best_frame_id) or self._news.last_word(event.event_id) or event
        return replace(latest, frames=frames, ended_at=ended_at)

    def combined(self, item: SpoolItem, said: Reply, placed: Sequence[float] | None = None) -> Word | None:
        """The last word on the event that a frame stands for, of both models; None: it stands for itself alone.

        Args:
            item: the frame.
            said: the big model's word on it.
            placed: as in `weighted`.
        """
        chances = item.event_probabilities
        if not item.event or chances is None:
            return None
        return weighted(self._ensemble, by_label(self._labels, chances), said, self._naming, placed)

    def changes(self, item: SpoolItem, word: Word | None) -> list[Change]:
        """What changes in the store with the cloud's answer on a frame that stands for an event."""
        return [] if word is None else [rows.answered(item.event, word.label, word.level, word.confidence, word.top_k)]

    def answered(self, item: SpoolItem, word: Word) -> Event | None:
        """The event that a frame stands for, with the cloud's word in it; `decided` is to be called with it."""
        with self._lock:
            event = self._waiting.pop(item.frame_id, None)
        if event is None:
            return self._of_earlier_run(item.frame_id, item.event, Reason.CLOUD)
        return replace(
            event,
            label=word.label,
            level=word.level,
            confidence=word.confidence,
            top_k=word.top_k,
            final=True,
            origin=Origin.CLOUD,
            reason=Reason.CLOUD,
            revision=event.revision + 1,
        )

    def left(self, frame_id: str, reason: Reason, event_id: str = "", *, earlier_run: bool = True) -> Event | None:
        """The event that a frame stood for, which leaves without an answer; `decided` is to be called with it.

        Args:
            frame_id: the frame.
            reason: why it leaves.
            event_id: of the event, where it is known; "": it is looked up.
            earlier_run: it may have come to wait in an earlier run.
        """
        with self._lock:
            event = self._waiting.pop(frame_id, None)
        if event is None:
            return self._of_earlier_run(frame_id, event_id, reason) if earlier_run else None
        return replace(event, final=True, reason=reason, revision=event.revision + 1)

    def _of_earlier_run(self, frame_id: str, event_id: str, reason: Reason) -> Event | None:
        """As the store has it, where the change is queued or made."""
        try:
            if not event_id:
                frame = self._store.journal.entry(frame_id)
                event_id = "" if frame is None else frame.event
            entry = self._store.journal.event(event_id) if event_id else None
        except StorageError as error:
            _log.error("the last word on event %s cannot be told: %s", event_id, error)
            return None
        if entry is None or entry.event.best_frame_id != frame_id or entry.event.reason is not reason:
            return None
        return entry.event


def answer_of(event: Event) -> Answer:
    """An event's word as an answer on the frame that stands for it, for those who listen to answers."""
    return Answer(
        event.best_frame_id,
        event.began_at,
        event.source,
        event.label,
        event.confidence,
        event.origin,
        event.final,
        event.reason,
        event.level,
        event,
    )
