"""The words on frames, from the first one of the device to the last: written, settled, counted, and told.

A provisional answer becomes final when the cloud has answered, has refused the frame, or when the frame is lost
(evicted, expired, damaged): nothing is left open. The word and the frame's leaving are one transaction of the store.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from heapq import nlargest
from operator import itemgetter
from typing import TYPE_CHECKING

from edge_sdk.budget.ledger import Ledger
from edge_sdk.budget.usage import LedgerSnapshot
from edge_sdk.errors import StorageError
from edge_sdk.store.frames import SpoolItem
from edge_sdk.store.schema import FrameRecord, State, TopK
from edge_sdk.store.spool import Loss
from edge_sdk.store.store import Store
from edge_sdk.types import Answer, Origin, Reason

if TYPE_CHECKING:
    from edge_sdk.wire import offload_pb2 as wire

_log = logging.getLogger(__name__)

_KEPT = 10_000
_LOOK_EVERY_S = 0.5
TOP_K = 3
"""Labels that are written down with an answer."""


class Answers:
    """All that is said of frames. The uplink's thread calls `answered` and `refused`.

    Args:
        store: every answer goes there first.
        ledger: counts the cloud's answers, once each, when they are on the disk.
        labels: the little model's.
        ensemble: weight of the little model in the answer on an offloaded frame (`Policy.ensemble`).
        on_answer: called with each late answer.

    Attributes:
        server_labels: of the cloud's probabilities, once they are known.
    """

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        labels: tuple[str, ...],
        ensemble: float,
        on_answer: Callable[[Answer], None] | None,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._labels = labels
        self._ensemble = ensemble
        self._on_answer = on_answer
        self._late: deque[Answer] = deque(maxlen=_KEPT)
        self._news = threading.Condition()
        self._provisional: dict[str, Answer] = {}
        self._uncounted: dict[str, tuple[int, int]] = {}
        self._counting = threading.Lock()
        self._closed = False
        self.server_labels: Callable[[], tuple[str, ...]] = tuple
        store.spool.add_loss_listener(self._lost)

    def exits(self, record: FrameRecord, item: SpoolItem | None = None) -> Answer:
        """The device's final word on a frame; `item` has its picture where the archive wants it."""
        self._store.exit(record, item)
        return record.answer

    def offloads(self, record: FrameRecord, item: SpoolItem) -> Answer:
        """The device's word on a frame that is to wait for the cloud; it is final where the frame has no place."""
        answer = record.answer
        self._provisional[answer.frame_id] = answer
        try:
            if answer.frame_id not in self._store.spool.put(item, record):
                return answer
        except StorageError as error:
            _log.warning("the device's answer on %s is final: %s", answer.frame_id, error)
            final = replace(answer, final=True, reason=Reason.EVICTED)
            self._store.exit(replace(record, answer=final, note=str(error)), state=State.LOST)
        self._provisional.pop(answer.frame_id, None)
        return replace(answer, final=True, reason=Reason.EVICTED)

    def late(self, wait_s: float, hopeful: Callable[[], bool]) -> Iterator[Answer]:
        """The late answers, each once; goes on waiting for more while `hopeful`, `wait_s` in all.

        A frame that is lost waits no longer, and its answer may still have to come.
        """
        end = time.monotonic() + wait_s
        while True:
            with self._news:
                while not self._late:
                    left_s = end - time.monotonic()
                    if left_s <= 0 or self._closed or not (hopeful() or self._store.spool.is_telling):
                        return
                    self._news.wait(min(left_s, _LOOK_EVERY_S))
                answer = self._late.popleft()
            yield answer

    def wait_for(self, answer: Answer, wait_s: float) -> Answer:
        """The final answer on a frame, taken out of the late ones, if it comes in time; else `answer`."""
        end = time.monotonic() + wait_s
        with self._news:
            while True:
                for late in self._late:
                    if late.frame_id == answer.frame_id:
                        self._late.remove(late)
                        return late
                left_s = end - time.monotonic()
                if left_s <= 0 or self._closed:
                    return answer
                self._news.wait(left_s)

    def close(self) -> None:
        """Nobody need wait any longer."""
        with self._news:
            self._closed = True
            self._news.notify_all()

    def answered(self, item: SpoolItem, reply: wire.ClassifyReply) -> None:
        """The big model's word on a frame: it leaves the spool. One that comes again changes nothing."""
        said, size = reply.classification, reply.ByteSize()
        label, confidence, top_k = self._combined(item, said)
        answer = Answer(
            item.frame_id, item.captured_at, item.source, label, confidence, Origin.CLOUD, True, Reason.CLOUD
        )
        with self._news:
            if not self._store.spool.answer(
                answer,
                top_k=top_k,
                disagreed=self._device_label(item) != label,
                then=lambda: self._count(item.frame_id),
            ):
                return
            self._uncounted[item.frame_id] = said.macs, size
            self._say(answer)
        self._tell(answer)

    def refused(self, item: SpoolItem, failure: wire.Failure) -> None:
        """The server will never answer this frame: the device's answer is final."""
        said = self._provisional.get(item.frame_id) or self._store.journal.get(item.frame_id)
        with self._news:
            if not self._store.spool.finish(item.frame_id, Reason.REFUSED, failure.message) or said is None:
                return
            final = replace(said, final=True, reason=Reason.REFUSED)
            self._say(final)
        self._tell(final)

    def account(self) -> LedgerSnapshot:
        """The ledger's account, with the answers that it counts once they are on the disk."""
        with self._counting:
            coming, known = list(self._uncounted.values()), self._ledger.snapshot()
        return replace(
            known,
            answers_cloud=known.answers_cloud + len(coming),
            macs_big=known.macs_big + sum(macs for macs, _ in coming),
            bytes_received=known.bytes_received + sum(size for _, size in coming),
        )

    def _count(self, frame_id: str) -> None:
        with self._news, self._counting:
            macs, size = self._uncounted.pop(frame_id)
            self._ledger.count_answer(macs=macs, received_bytes=size)

    def flush(self) -> bool:
        """Nothing waits for it: a frame leaves the spool with its answer."""
        return True

    def acked(self) -> None:
        """As `flush`."""

    def _combined(self, item: SpoolItem, said: wire.Classification) -> tuple[str, float, TopK]:
        """The big model's answer, or that of both where the policy gives the little model a voice."""
        weight, labels = self._ensemble, self.server_labels()
        if len(labels) != len(said.probabilities):
            return said.label, said.confidence, ()
        big = dict(zip(labels, said.probabilities, strict=True))
        if not weight or len(item.probabilities) != len(self._labels):
            return said.label, said.confidence, top_k_of(big)
        little = dict(zip(self._labels, item.probabilities.tolist(), strict=True))
        both = {label: weight * little.get(label, 0.0) + (1 - weight) * chance for label, chance in big.items()}
        top = max(both, key=both.__getitem__)
        return top, both[top], top_k_of(big)

    def _device_label(self, item: SpoolItem) -> str | None:
        chances = item.probabilities
        return self._labels[int(chances.argmax())] if len(chances) == len(self._labels) else None

    def _lost(self, losses: Sequence[Loss]) -> None:
        """Frames have left the spool without an answer: the device's are final."""
        settled = []
        for loss in losses:
            said = self._provisional.get(loss.frame_id) or self._known(loss.frame_id)
            if said is not None:
                settled.append(replace(said, final=True, reason=loss.reason))
        with self._news:
            for answer in settled:
                self._say(answer)
        self._tell(*settled)

    def _known(self, frame_id: str) -> Answer | None:
        try:
            return self._store.journal.get(frame_id)
        except StorageError as error:
            _log.error("the answer on %s cannot be told: %s", frame_id, error)
            return None

    def _say(self, answer: Answer) -> None:
        """A final answer is among the late ones; the caller holds the condition."""
        self._provisional.pop(answer.frame_id, None)
        self._late.append(answer)
        self._news.notify_all()

    def _tell(self, *answers: Answer) -> None:
        """Call `on_answer`, holding no lock: it may wait for a thread that is in here."""
        for answer in answers:
            try:
                if self._on_answer:
                    self._on_answer(answer)
            except Exception:
                _log.exception("on_answer failed on %s; the answer is in the journal", answer.frame_id)


def top_k_of(chances: Mapping[str, float]) -> TopK:
    """The likeliest labels with their probabilities, the likeliest first."""
    return tuple(nlargest(TOP_K, chances.items(), key=itemgetter(1)))
