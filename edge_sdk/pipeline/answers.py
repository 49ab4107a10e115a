"""The words on frames, from the first one of the device to the last: written, settled, counted, and told.

A provisional answer becomes final when the cloud has answered, has refused the frame, or when the frame is lost
(evicted, expired, damaged): nothing is left open. The word and the frame's leaving are one transaction of the store.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from edge_sdk.budget.ledger import Ledger
from edge_sdk.budget.usage import Usage
from edge_sdk.errors import StorageError
from edge_sdk.model.priors import PlacePrior
from edge_sdk.model.taxonomy import Naming
from edge_sdk.pipeline.event_words import EventWords, answer_of
from edge_sdk.pipeline.late import LateAnswers
from edge_sdk.pipeline.word import by_label, weighted
from edge_sdk.store.frames import SpoolItem
from edge_sdk.store.schema import Change, FrameRecord, State
from edge_sdk.store.spool import Loss
from edge_sdk.store.store import Store
from edge_sdk.types import Answer, Event, Origin, Reason

if TYPE_CHECKING:
    from edge_sdk.link.transport import Reply

_log = logging.getLogger(__name__)


class Answers:
    """All that is said of frames. The uplink's thread calls `answered`, `refused` and `gave_up`.

    Args:
        store: every answer goes there first.
        ledger: counts the cloud's answers, once each, when they are on the disk.
        labels: the little model's.
        ensemble: weight of the little model in the answer on an offloaded frame that it saw whole (`Policy.ensemble`).
        near_ensemble: that on one of which it looked at a region; None: the same.
        late: takes each late answer on to the application.
        events: what is said of the events that frames stand for.
        prior: what can be expected where the camera stands; None: nothing is known of it.
        naming: gives each answer the name that is sure enough; None: that of the likeliest class.
    """

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        labels: tuple[str, ...],
        ensemble: float,
        late: LateAnswers,
        events: EventWords,
        prior: PlacePrior | None = None,
        naming: Naming | None = None,
        *,
        near_ensemble: float | None = None,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._labels = labels
        self._ensemble = ensemble
        self._near_ensemble = ensemble if near_ensemble is None else near_ensemble
        self._late = late
        self._prior = prior
        self._naming = naming or Naming()
        self._events = events
        self._provisional: dict[str, Answer] = {}
        self._uncounted: dict[str, tuple[int, int, int]] = {}
        self._counting = threading.Lock()
        self._settles = False
        self._listeners: tuple[Callable[[Answer], None], ...] = ()
        store.spool.add_loss_listener(self._lost)

    @property
    def settling(self) -> bool:
        """Whether a frame has left the spool whose final answer has still to come."""
        return self._settles or self._store.spool.is_telling

    def listen(self, listener: Callable[[Answer], None]) -> Callable[[], None]:
        """Call `listener` with every answer from now on, on the thread that gives it; the result ends that."""
        self._listeners = (*self._listeners, listener)

        def end() -> None:
            self._listeners = tuple(one for one in self._listeners if one is not listener)

        return end

    def exits(self, record: FrameRecord, item: SpoolItem | None = None, *, repeats: bool = False) -> Answer:
        """The device's final word on a frame.

        Args:
            record: the word.
            item: with the frame's picture, where the archive wants it.
            repeats: as in `Store.exit`.
        """
        self._store.exit(record, item, repeats=repeats)
        return self._heard(record.answer)

    def offloads(self, record: FrameRecord, item: SpoolItem) -> Answer:
        """The device's word on a frame that is to wait for the cloud; it is final where the frame has no place."""
        return self._heard(self.wait(record, item))

    def in_event(self, record: FrameRecord, event: Event, item: SpoolItem | None = None) -> Answer:
        """The device's word on a frame whose event is answered as a whole.

        Args:
            record: it is written as final: nothing is to come of a frame that does not travel.
            event: as it stands.
            item: with the frame's picture, where the archive wants it.
        """
        self._store.exit(record, item)
        return self._heard(replace(record.answer, final=event.final, event=event))

    def decided(self, event: Event, *, as_a_whole: bool = True) -> None:
        """The word on an event goes to the application; the listeners hear those on it as a whole that stand."""
        self._events.decided(event)
        if as_a_whole and event.stands:
            self._heard(answer_of(event))

    def wait(self, record: FrameRecord, item: SpoolItem, *also: Change) -> Answer:
        """As `offloads`; the listeners do not hear of it.

        Args:
            record: the device's word.
            item: the frame.
            also: changes that are committed together with it, where it gets a place.
        """
        answer = record.answer
        self._provisional[answer.frame_id] = answer
        try:
            if answer.frame_id not in self._store.spool.put(item, record, *also):
                return answer
        except StorageError as error:
            _log.warning("the device's answer on %s is final: %s", answer.frame_id, error)
            final = replace(answer, final=True, reason=Reason.EVICTED)
            self._store.exit(replace(record, answer=final, note=str(error)), state=State.LOST)
        self._provisional.pop(answer.frame_id, None)
        return replace(answer, final=True, reason=Reason.EVICTED)

    def answered(self, item: SpoolItem, reply: Reply) -> None:
        """The big model's word on a frame: it leaves the spool. One that comes again changes nothing."""
        placed = self._placed(item, reply)
        weight = self._near_ensemble if item.near else self._ensemble
        word = weighted(weight, by_label(self._labels, item.probabilities), reply, self._naming, placed)
        on_event = self._events.combined(item, reply, placed)
        known = item.frame_id, item.captured_at, item.source
        answer = Answer(
            *known, word.label, word.confidence, Origin.CLOUD, True, Reason.CLOUD, word.level, exit=reply.exit
        )
        self._settles = True
        try:
            with self._counting:
                if not self._store.spool.answer(
                    answer,
                    top_k=word.top_k,
                    model=reply.server.model,
                    disagreed=self._device_label(item) != word.likeliest,
                    private=self._store.archive.refuses(reply.server.labels, reply.probabilities, word.likeliest),
                    then=lambda: self._count(item.frame_id),
                    also=self._events.changes(item, on_event),
                ):
                    return
                self._uncounted[item.frame_id] = reply.macs, reply.received_bytes, reply.server.macs
            told = self._hand_over(answer, None if on_event is None else self._events.answered(item, on_event))
        finally:
            self._settles = False
        self._late.wake()
        self._late.tell(*told)

    def refused(self, item: SpoolItem, message: str) -> None:
        """The server will never answer this frame: the device's answer is final."""
        self._finish(item, Reason.REFUSED, message)

    def gave_up(self, item: SpoolItem, message: str) -> None:
        """The frame was sent as often as frames are: the device's answer is final."""
        self._finish(item, Reason.GIVEN_UP, message)

    def _finish(self, item: SpoolItem, reason: Reason, message: str) -> None:
        said = self._provisional.get(item.frame_id) or self._known(item.frame_id)
        told: list[Answer] = []
        self._settles = True
        try:
            if self._store.spool.finish(item.frame_id, reason, message) and said is not None:
                event = self._events.left(item.frame_id, reason, item.event) if item.event else None
                told = self._hand_over(replace(said, final=True, reason=reason), event)
        finally:
            self._settles = False
        self._late.wake()
        self._late.tell(*told)

    def account(self) -> Usage:
        """The ledger's account, with the answers that it counts once they are on the disk."""
        with self._counting:
            coming, known = list(self._uncounted.values()), self._ledger.snapshot()
        return replace(
            known,
            answers_cloud=known.answers_cloud + len(coming),
            macs_big=known.macs_big + sum(macs for macs, *_ in coming),
            bytes_received=known.bytes_received + sum(size for _, size, _ in coming),
        )

    def _count(self, frame_id: str) -> None:
        with self._counting:
            macs, received_bytes, big_macs = self._uncounted.pop(frame_id)
            self._ledger.count_answer(macs=macs, received_bytes=received_bytes, big_macs=big_macs)

    def _placed(self, item: SpoolItem, said: Reply) -> list[float] | None:
        """The big model's probabilities given place and season; of a wrong time the frame's note tells."""
        labels, prior = said.server.labels, self._prior
        if prior is None or not prior.rule.cloud or len(labels) != len(said.probabilities):
            return None
        month = None if item.note else item.captured_at.month
        placed = prior.applied_to_cloud(labels, np.asarray(said.probabilities, np.float32), month)
        chances: list[float] = placed.tolist()
        return chances

    def _device_label(self, item: SpoolItem) -> str | None:
        chances = item.probabilities
        return self._labels[int(chances.argmax())] if len(chances) == len(self._labels) else None

    def _lost(self, losses: Sequence[Loss]) -> None:
        """Frames have left the spool without an answer: the device's are final."""
        told = []
        for loss in losses:
            provisional = self._provisional.get(loss.frame_id)
            said = provisional or self._known(loss.frame_id)
            if said is not None:
                event = self._events.left(loss.frame_id, loss.reason, earlier_run=provisional is None)
                told += self._hand_over(replace(said, final=True, reason=loss.reason), event)
        self._late.tell(*told)

    def _hand_over(self, answer: Answer, event: Event | None = None) -> list[Answer]:
        """A final answer goes to the late ones; what `LateAnswers.tell` is to be called with.

        Of an event that the frame stood for, the listeners hear instead.
        """
        answer = replace(answer, event=event)
        self._provisional.pop(answer.frame_id, None)
        if event is None:
            self._heard(answer)
        untold = [answer] if self._late.put(answer) else []
        if event is not None:
            self.decided(event)
        return untold

    def _heard(self, answer: Answer) -> Answer:
        """Tell the listeners."""
        for listener in self._listeners:
            try:
                listener(answer)
            except Exception:
                _log.exception("a listener failed on %s; the answer is in the journal", answer.frame_id)
        return answer

    def _known(self, frame_id: str) -> Answer | None:
        try:
            return self._store.journal.get(frame_id)
        except StorageError as error:
            _log.error("the answer on %s cannot be told: %s", frame_id, error)
            return None
