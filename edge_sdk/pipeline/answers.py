"""The words on frames, from the first one of the device to the last: written, settled, counted, and told.

An answer is in the journal before anyone hears of it. A provisional one becomes final when the cloud has answered, has
refused the frame, or when the frame is lost (evicted, expired, damaged): nothing is left open.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from edge_sdk.budget.ledger import Ledger
from edge_sdk.pipeline.late import LateAnswers
from edge_sdk.store.journal import Journal
from edge_sdk.store.recovery import lost_answer
from edge_sdk.store.spool import Spool, SpoolItem
from edge_sdk.types import Answer, Frame, Origin, Reason

if TYPE_CHECKING:
    from edge_sdk.link.transport import Reply

_LOSSES_AT_ONCE = 64


class Answers:
    """All that is said of frames. The uplink's thread calls `answered` and `refused`.

    Args:
        journal: every answer goes there first.
        spool: tells of frames that were lost.
        ledger: counts the cloud's answers, once each.
        labels: the little model's.
        ensemble: weight of the little model in the answer on an offloaded frame (`Policy.ensemble`).
        late: takes each late answer on to the application.
    """

    def __init__(
        self,
        journal: Journal,
        spool: Spool,
        ledger: Ledger,
        labels: tuple[str, ...],
        ensemble: float,
        late: LateAnswers,
    ) -> None:
        self._journal = journal
        self._spool = spool
        self._ledger = ledger
        self._labels = labels
        self._ensemble = ensemble
        self._late = late
        self._settling = threading.Lock()  # of lost and refused frames, by either thread
        self._provisional: dict[str, Answer] = {}
        self._uncounted: deque[tuple[str, int, int]] = deque()
        self._lost: set[str] = set()
        spool.add_loss_listener(self._lost_some)

    def first(self, answer: Answer, frame: Frame) -> Answer:
        """The device's word on a frame; it is returned."""
        if not answer.final:
            self._provisional[answer.frame_id] = answer
        self._journal.write(answer, truth=frame.truth)
        return answer

    def evicted(self, *frame_ids: str, note: str) -> None:
        """Frames had no place in the spool: the device's answers on them are final."""
        with self._settling:
            settled = [answer for frame_id in frame_ids for answer in self._settle(frame_id, Reason.EVICTED, note)]
            self._lost.update(frame_ids)
            settled += self._settle_losses()
        self._late.tell(*settled)

    def unsettled_losses(self) -> bool:
        """Whether a frame was lost whose final answer has still to come."""
        return any(loss.frame_id not in self._lost for loss in self._spool.losses())

    def answered(self, item: SpoolItem, reply: Reply) -> None:
        """The big model's word on a frame, which leaves the spool once the word is on the disk."""
        self._ledger.big_macs = reply.server.macs
        label, confidence = self._combined(item, reply)
        frame = item.frame_id, item.captured_at, item.source
        answer = Answer(*frame, label, confidence, Origin.CLOUD, True, Reason.CLOUD)
        told = self._record(answer)
        self._uncounted.append((item.frame_id, reply.macs, reply.received_bytes))
        self._leave(item)
        if told:
            self._late.tell(answer)

    def refused(self, item: SpoolItem, message: str) -> None:
        """The server will never answer this frame."""
        with self._settling:
            settled = self._settle(item.frame_id, Reason.REFUSED, message)
        self._leave(item)
        self._late.tell(*settled)

    def _leave(self, item: SpoolItem) -> None:
        if self.flush():
            self._spool.ack(item.frame_id)
            self._late.wake()

    def flush(self) -> bool:
        """True when every answer so far is on disk. Only then it is counted: it may come again."""
        come = [self._uncounted.popleft() for _ in range(len(self._uncounted))]
        if not self._journal.flush():
            self._uncounted.extendleft(reversed(come))
            return False
        for macs, received_bytes in {frame_id: said for frame_id, *said in come}.values():
            self._ledger.count_answer(macs=macs, received_bytes=received_bytes)
        return True

    def _combined(self, item: SpoolItem, said: Reply) -> tuple[str, float]:
        """The big model's answer, or that of both where the policy gives the little model a voice."""
        weight = self._ensemble
        labels = said.server.labels
        if not weight or len(labels) != len(said.probabilities) or len(item.probabilities) != len(self._labels):
            return said.label, said.confidence
        little = dict(zip(self._labels, item.probabilities.tolist(), strict=True))
        both = {
            label: weight * little.get(label, 0.0) + (1 - weight) * chance
            for label, chance in zip(labels, said.probabilities, strict=True)
        }
        top = max(both, key=both.__getitem__)
        return top, both[top]

    def _lost_some(self) -> None:
        with self._settling:
            settled = self._settle_losses()
        self._late.tell(*settled)

    def _settle_losses(self) -> list[Answer]:
        """The device's answers on lost frames become final; the spool forgets the losses once that is on disk."""
        losses = {loss.frame_id: loss for loss in self._spool.losses()}
        settled = [
            answer
            for frame_id in losses.keys() - self._lost
            for answer in self._settle(frame_id, losses[frame_id].reason, "", lost_answer(losses[frame_id]))
        ]
        self._lost = set(losses)
        if len(losses) >= _LOSSES_AT_ONCE and self._journal.flush():
            self._spool.ack(*losses)
        return settled

    def _settle(self, frame_id: str, reason: Reason, note: str, unknown: Answer | None = None) -> list[Answer]:
        """The device's answer becomes final, or `unknown` stands in where there is none; returns what is to be told."""
        said = self._provisional.get(frame_id) or self._journal.get(frame_id)
        final = unknown if said is None else replace(said, final=True, reason=reason)
        if final is None or (said is not None and said.final):
            return []
        return [final] if self._record(final, note) else []

    def _record(self, answer: Answer, note: str = "") -> bool:
        """A final answer goes into the journal and to the late ones; whether `LateAnswers.tell` is to be called."""
        self._journal.write(answer, note=note)
        self._provisional.pop(answer.frame_id, None)
        return self._late.put(answer)
