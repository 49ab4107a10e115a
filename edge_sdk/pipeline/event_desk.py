"""Where events are answered: how one stands with each frame, what of it waits on the disk, and how it is decided.

An event's answer is the mean of a few frames (`Visit.mean`). An unsure event is worth one upload: the frame that looks
least empty travels for it. So it does for a sure event that is drawn for an audit. Until the event is decided that
frame's picture lies in the store's folder `pending`, if it would travel now: what a stop leaves there goes to the cloud
at the next start.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edge_sdk.budget.ledger import Ledger
from edge_sdk.model.policy import Decision, ExitPolicy
from edge_sdk.model.taxonomy import Naming
from edge_sdk.pipeline.admission import Admission
from edge_sdk.pipeline.answers import Answers
from edge_sdk.pipeline.audit import AuditDraw, Draw, drawn_of
from edge_sdk.pipeline.event_case import EventCase
from edge_sdk.pipeline.event_words import EventWords
from edge_sdk.pipeline.events import Events, Visit
from edge_sdk.pipeline.word import top_k_of
from edge_sdk.store import events as rows
from edge_sdk.store.frames import SpoolItem
from edge_sdk.store.schema import Change, FrameRecord, State
from edge_sdk.store.store import Store
from edge_sdk.types import Answer, Event, Frame, Prediction, Reason

_log = logging.getLogger(__name__)


class EventDesk:
    """Answers events. Not thread-safe: whoever classifies frames one at a time calls it.

    Args:
        events: the grouping.
        store: where all is written down.
        ledger: counts events.
        admission: encodes frames, and asks whether they are worth their place.
        answers: takes what is said of frames.
        words: takes what is said of events.
        labels: the little model's.
        naming: gives an event the name that is sure enough.
        exits: decides on an event as on a frame of its mean.
        audits: draws confident events, where they are answered as a whole; None: none.
        temperature: of the mean.
        model: version of the little model's bundle.

    Attributes:
        exits: may be replaced at any time, and so may `audits`.
    """

    def __init__(
        self,
        events: Events,
        store: Store,
        ledger: Ledger,
        admission: Admission,
        answers: Answers,
        words: EventWords,
        *,
        labels: Sequence[str],
        naming: Naming,
        exits: ExitPolicy,
        audits: AuditDraw | None,
        temperature: float,
        model: str,
    ) -> None:
        self._events, self._store, self._ledger, self._admission = events, store, ledger, admission
        self._answers, self._words = answers, words
        self._labels, self._temperature, self._model = tuple(labels), temperature, model
        self._naming = naming
        self.exits, self.audits = exits, audits
        self._cases: dict[str, EventCase] = {}

    def add(self, visit: Visit, frame: Frame, prediction: Prediction, record: FrameRecord) -> Event:
        """A frame has joined an event.

        Args:
            visit: the event, with the frame in it.
            frame: the frame.
            prediction: the little model's.
            record: the device's word on the frame.

        Returns:
            The event as it stands.
        """
        if visit.is_decided:
            return self._words.stands(self._cases[visit.event_id].event, visit.frames, visit.last_at)
        return self._stands(visit, frame, prediction, record).event

    def answer(self, visit: Visit, frame: Frame, prediction: Prediction, record: FrameRecord) -> Answer:
        """As `add`, and the answer on the frame, of an event that is answered as a whole."""
        event = self.add(visit, frame, prediction, record)
        is_wanted = self._store.archive.wants(record, prediction)
        picture = self._admission.encode(frame, prediction) if is_wanted else None
        return self._answers.in_event(record, event, picture)

    def decide(self, visit: Visit) -> None:
        """The answer on an event that goes on; it stands whatever comes."""
        self._decide(visit, ended=False)
        self._events.decided(visit)

    def end(self, visit: Visit) -> None:
        """The event is over; it is decided, unless it was before."""
        if not visit.is_decided:
            self._decide(visit, ended=True)
            visit.is_decided = True
            del self._cases[visit.event_id]
            return
        case = self._cases.pop(visit.event_id)
        self._store.write(rows.ended(visit.event_id, visit.frames, visit.last_at))
        self._words.went_on(case.event, visit.frames, visit.last_at)
        if visit.as_a_whole:
            self._ledger.count_exits(visit.frames - case.counted)

    def review(self) -> None:
        """The rules have changed: pictures of open events that may not wait any more go, and others begin to."""
        for case in self._cases.values():
            if case.as_a_whole and case.event.revision == 0:
                self._judge(case)
                self._keep(case, case.frame, copy=False)

    def _stands(self, visit: Visit, frame: Frame, prediction: Prediction, record: FrameRecord) -> EventCase:
        """How the event stands with this frame; its best picture is kept where it would travel."""
        case = self._cases.get(visit.event_id)
        mean = visit.mean(self._temperature)
        is_best = visit.best[0].frame_id == frame.frame_id
        on_best = prediction if case is None or is_best else case.prediction
        decision, draw = self._decision(visit.event_id, mean, on_best, as_a_whole=visit.as_a_whole)
        event = self._event(visit, mean, decision)
        before, replaced = None if case is None else case.news, None
        if case is None or is_best:
            replaced = case.record.answer.frame_id if case is not None and case.is_pending else None
            case = EventCase(record, prediction, event, mean, decision, draw, as_a_whole=visit.as_a_whole)
            self._cases[visit.event_id] = case
        case.event, case.mean, case.decision, case.draw = event, mean, decision, draw
        if visit.as_a_whole:
            self._keep(case, frame if is_best else case.frame, copy=is_best)
            if replaced is not None:
                self._store.pending.remove(replaced)
        if before != case.news:
            self._store.write(self._row(case, State.WAITING, ended=False))
        return case

    def _judge(self, case: EventCase) -> None:
        """Decide again as the rules are now."""
        case.decision, case.draw = self._decision(
            case.event.event_id, case.mean, case.prediction, as_a_whole=case.as_a_whole
        )

    def _decision(
        self, event_id: str, mean: NDArray[np.float32], on_best: Prediction, *, as_a_whole: bool
    ) -> tuple[Decision, Draw | None]:
        said = Prediction(self._labels, mean, on_best.energy)
        decision = self.exits.decide(said)
        if not decision.exits and self.exits.is_private(on_best):
            return Decision(True, Reason.PRIVATE, decision.gain), None
        draw = drawn_of(self.audits if as_a_whole else None, self.exits, decision, event_id, said, on_best)
        if draw is not None and draw.drawn:
            decision = Decision(False, Reason.AUDIT, decision.gain)
        return decision, draw

    def _event(self, visit: Visit, mean: NDArray[np.float32], decision: Decision) -> Event:
        top, named = int(mean.argmax()), self._naming.of(Prediction(self._labels, mean))
        also = self._events.also(visit, top, self.exits.threshold or _SEEN_FROM)
        return Event(
            event_id=visit.event_id,
            source=visit.camera,
            began_at=visit.began_at,
            ended_at=visit.last_at,
            frames=visit.frames,
            label=named.label,
            level=named.level,
            confidence=named.confidence,
            best_frame_id=visit.best[0].frame_id,
            final=False,
            reason=decision.reason,
            revision=0,
            top_k=top_k_of(self._labels, mean.tolist()),
            also=tuple((self._labels[number], confidence) for number, confidence in also),
        )

    def _keep(self, case: EventCase, frame: Frame | None, *, copy: bool) -> None:
        """Keep the best frame: on the disk where it would travel now, else in memory."""
        if case.decision.exits:
            if case.is_pending:
                self._store.pending.remove(case.record.answer.frame_id)
                case.is_pending = False
            if copy and frame is not None:  # the caller may use the array again
                case.frame = replace(frame, image=frame.image.copy())
            return
        item = self._item(case, frame)
        if item is None or (case.is_pending and case.pending_draw == case.draw):
            return
        try:
            self._store.pending.put(item, case.travelling(self._labels), self._store.now_ns())
            case.is_pending, case.pending_draw = True, case.draw
        except OSError as error:
            _log.warning("the picture of event %s waits in memory: %s", case.event.event_id, error)

    def _item(self, case: EventCase, frame: Frame | None) -> SpoolItem | None:
        """The best frame as it would travel now."""
        if case.item is None and frame is not None:
            case.item, case.relative_gain = self._admission.draft(frame, case.prediction, case.worth)
            case.frame = None
        if case.item is None:
            return None
        return replace(
            case.item,
            gain=case.worth * case.relative_gain,
            event=case.event.event_id,
            event_probabilities=case.mean,
        )

    def _decide(self, visit: Visit, *, ended: bool) -> None:
        case = self._cases[visit.event_id]
        self._judge(case)  # settings may have changed
        case.event = replace(self._event(visit, case.mean, case.decision), final=True, revision=1)
        is_audit, item = case.decision.reason is Reason.AUDIT, None
        if visit.as_a_whole and not case.decision.exits:
            item = self._item(case, case.frame)
            if item is not None and not self._admission.admits(item):
                item = None
                case.event = replace(case.event, reason=Reason.CONFIDENT if is_audit else Reason.NOT_WORTH)
        if item is not None:
            self._offload(case, item, ended=ended)
        else:
            self._write(case, State.FINAL, ended=ended)
        self._answers.decided(case.event, as_a_whole=visit.as_a_whole)
        offloaded = visit.as_a_whole and not case.event.final
        is_open = case.event.reason in (Reason.UNSURE, Reason.OUTSIDE, Reason.EVICTED) and not is_audit
        exits = visit.frames - is_open if visit.as_a_whole else 0
        self._ledger.count_event(exits=exits, offloaded=offloaded, audited=is_audit)
        case.counted = visit.frames
        case.frame = case.item = None

    def _offload(self, case: EventCase, item: SpoolItem, *, ended: bool) -> None:
        """The best frame waits for the cloud, and so does the event."""
        case.event, is_pending = replace(case.event, final=False), case.is_pending
        self._store.archive.give_up(item.frame_id, item.event)
        self._words.expect(case.event)
        said = self._answers.wait(case.travelling(self._labels), item, self._change(case, State.WAITING, ended=ended))
        if said.final:  # it has no place
            case.event, case.is_pending = replace(case.event, final=True, reason=said.reason), is_pending
            self._write(case, State.LOST, ended=ended)

    def _write(self, case: EventCase, state: State, *, ended: bool) -> None:
        changes = [self._change(case, state, ended=ended)]
        if case.as_a_whole and (case.draw is not None or case.decision.reason is not Reason.CONFIDENT):
            best, said = case.record.answer.frame_id, case.likeliest(self._labels)
            changes.append(rows.stands_for(best, said, audit=case.is_drawn, audit_chance=case.audit_chance))
        self._store.write(*changes)

    def _change(self, case: EventCase, state: State, *, ended: bool) -> Change:
        """The event's row; the picture in `pending` goes when it is on the disk."""
        frame_id, then = case.record.answer.frame_id, None
        if case.is_pending:
            case.is_pending = False

            def then() -> None:
                self._store.pending.remove(frame_id)

        return self._row(case, state, ended=ended, then=then)

    def _row(self, case: EventCase, state: State, *, ended: bool, then: Callable[[], None] | None = None) -> Change:
        return rows.put(
            case.event,
            state,
            self._store.now_ns(),
            ended=ended,
            model=self._model,
            audit=case.is_drawn,
            audit_chance=case.audit_chance,
            then=then,
        )


_SEEN_FROM = 0.5
"""Confidence that counts a class as seen beside the event's, where a learned gate decides and there is no threshold."""
