"""The latest visits as a viewer sees them: who said what, when, how sure, and a picture where one may be shown."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from datetime import datetime

from edge_sdk.archive_rule import ArchiveRule
from edge_sdk.pipeline.classifier import EdgeClassifier
from edge_sdk.store.events import EventEntry
from edge_sdk.store.journal import Journal, JournalEntry
from edge_sdk.store.picture import read_picture
from edge_sdk.types import Answer, LinkState, Origin

SHOWN = 6
_PICTURES = 24


@dataclass(frozen=True, slots=True)
class Visit:
    """One event, or one frame that belongs to none.

    Attributes:
        key: the event's id, or the frame's.
        best: the frame that stands for it.
        began_at: when it began, with a time zone.
        length_s: from its first frame to its latest.
        frames: how many.
        label: the last word so far; None: no model was run.
        confidence: probability of that, in [0, 1].
        device: the device's word; None: no model was run.
        device_confidence: probability of that.
        cloud: the cloud's word; "" where it has not said one.
        waits: the cloud is asked, or is to be asked.
        private: it may show what is never stored.
        has_picture: there is one to show.
    """

    key: str
    best: str
    began_at: datetime
    length_s: float
    frames: int
    label: str | None
    confidence: float
    device: str | None
    device_confidence: float
    cloud: str
    waits: bool
    private: bool
    has_picture: bool = False


class Visits:
    """Reads the journal's file, beside the device. Threads may share it.

    Pictures are those on the disk, of frames that wait or are kept; of others the last that somebody looked at.

    Args:
        edge: the device.
    """

    def __init__(self, edge: EdgeClassifier) -> None:
        self._edge = edge
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[str, bytes]] = {}
        self._rule = edge.archive_rule

    def drawn(self, answer: Answer, jpeg: bytes) -> None:
        """Take a live picture, which may stand for its event where no better one is kept."""
        event = answer.event
        if event is not None and event.best_frame_id != answer.frame_id:
            return
        with self._lock:
            key = answer.frame_id if event is None else event.event_id
            self._seen.pop(key, None)
            self._seen[key] = answer.frame_id, jpeg
            while len(self._seen) > _PICTURES:
                del self._seen[next(iter(self._seen))]

    def latest(self) -> list[Visit]:
        """The latest, newest first: events, and where there are none, frames.

        Raises:
            StorageError: the journal cannot be read.
        """
        journal, rule = self._journal(), self._edge.archive_rule
        events = journal.events(limit=SHOWN, newest_first=True)
        if events:
            return [self._with_picture(_of_event(one, rule), journal.entry(one.event.best_frame_id)) for one in events]
        frames = journal.query(limit=SHOWN, newest_first=True)
        return [self._with_picture(_of_frame(entry, rule), entry) for entry in frames]

    def picture(self, key: str) -> bytes | None:
        """The encoded picture of a visit; None where there is none that may be shown.

        Args:
            key: of the visit.

        Raises:
            StorageError: the journal cannot be read.
        """
        journal, rule = self._journal(), self._edge.archive_rule
        event = journal.event(key)
        frame = journal.entry(key if event is None else event.event.best_frame_id)
        if (event is not None and _of_event(event, rule).private) or (
            frame is not None and _of_frame(frame, rule).private
        ):
            return None
        if frame is not None and (stored := read_picture(journal.folder, frame)) is not None:
            return stored.image
        return self._of_memory(key, key if event is None else event.event.best_frame_id)

    def _with_picture(self, visit: Visit, frame: JournalEntry | None) -> Visit:
        kept = frame is not None and frame.picture is not None
        return replace(visit, has_picture=kept or self._of_memory(visit.key, visit.best) is not None)

    def _of_memory(self, key: str, best: str) -> bytes | None:
        """The last that somebody looked at, of an event or of the frame that stands for it."""
        with self._lock:
            if (rule := self._edge.archive_rule) != self._rule:  # it may be stricter
                self._seen.clear()
                self._rule = rule
            found = self._seen.get(key) or self._seen.get(best)
        return None if found is None else found[1]

    def waits_for_nobody(self) -> bool:
        """Whether what waits does so because no cloud is named."""
        return self._edge.link is LinkState.OFF

    def _journal(self) -> Journal:
        return Journal(self._edge.state_dir)


def _of_event(entry: EventEntry, rule: ArchiveRule | None) -> Visit:
    event = entry.event
    said = {label for label, _ in event.also} | {event.label, entry.device_label}
    return Visit(
        key=event.event_id,
        best=event.best_frame_id,
        began_at=event.began_at,
        length_s=(event.ended_at - event.began_at).total_seconds(),
        frames=event.frames,
        label=event.label,
        confidence=event.confidence,
        device=entry.device_label,
        device_confidence=entry.device_confidence,
        cloud=event.label if event.origin is Origin.CLOUD else "",
        waits=not event.stands and entry.ended,
        private=_is_private(rule, said, dict(event.top_k)),
    )


def _of_frame(entry: JournalEntry, rule: ArchiveRule | None) -> Visit:
    answer, cloud = entry.answer, entry.cloud
    said = {one.label for one in (answer, entry.device, cloud) if one is not None and one.label is not None}
    private = _is_private(rule, said, dict(entry.top_k)) or _is_private(rule, said, dict(entry.cloud_top_k))
    return Visit(
        key=answer.frame_id,
        best=answer.frame_id,
        began_at=answer.captured_at,
        length_s=0.0,
        frames=1,
        label=answer.label,
        confidence=answer.confidence,
        device=entry.device.label,
        device_confidence=entry.device.confidence,
        cloud="" if cloud is None or cloud.label is None else cloud.label,
        waits=not answer.stands and not entry.event,
        private=private,
    )


def _is_private(rule: ArchiveRule | None, said: set[str], chances: dict[str, float]) -> bool:
    if rule is None or not rule.never_store:
        return False
    return not said.isdisjoint(rule.never_store) or rule.is_never_stored(chances)
