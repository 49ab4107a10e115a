"""What is said of one frame, and of several frames together: of an event, or of a video."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from edge_sdk.camera.files import camera_of
from edge_sdk.formats.kinds import Kind, Taxa
from edge_sdk.formats.media import Box, Media, Medium, box_of
from edge_sdk.model.taxonomy import ROOT
from edge_sdk.store.events import EventEntry
from edge_sdk.store.schema import JournalEntry, TopK
from edge_sdk.types import Origin, Reason

EVENT_GAP_S = 60.0
"""Frames of one camera that are further apart belong to two events, seconds."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Sighting:
    """What is said of a frame.

    Attributes:
        entry: what the journal knows.
        medium: its file.
        event_id: the journal's event, or the id of the first frame of those that follow one another.
        label: the last word so far, a class or a group; None: no model was run, or it has no name.
        kind: of the label. `UNCLASSIFIED` while the last word is not said, or where there is none.
        subject: of the label too; while the frame waits for the cloud, of the device's.
        scientific_name: of the label; "": not given.
        box: where in the picture `medium` something was looked at; None: not known, or the whole picture was.
        event: the same frame with what is said of its event in place of what is said of itself, where that was answered
            as a whole.
    """

    entry: JournalEntry
    medium: Medium
    event_id: str
    label: str | None
    kind: Kind
    subject: Kind
    scientific_name: str = ""
    box: Box | None = None
    event: Sighting | None = None

    @property
    def frame_id(self) -> str:
        """The frame's id."""
        return self.entry.answer.frame_id

    @property
    def captured_at(self) -> datetime:
        """When the frame was captured, with a time zone."""
        return self.entry.answer.captured_at

    @property
    def confidence(self) -> float:
        """Probability of the label, in [0, 1]; a damaged one counts as 0."""
        return _chance(self.entry.answer.confidence)

    @property
    def level(self) -> str:
        """Rank of the label where it is a group, "root" where no group was sure enough; "" of a class."""
        return self.entry.answer.level

    @property
    def top_k(self) -> TopK:
        """The likeliest classes of the model that said the label, the likeliest first; at least the label itself.

        A label that is a group stands before its classes.
        """
        entry = self.entry
        found = entry.cloud_top_k if entry.answer.origin is Origin.CLOUD else entry.top_k
        named = [(label, _chance(chance)) for label, chance in found if isinstance(label, str) and label.strip()]
        if self.label is not None and (not named or self.level):
            named = [(self.label, self.confidence), *named]
        return tuple(sorted(named, key=lambda one: -one[1]))

    @property
    def model(self) -> str:
        """Name and version of the model that said the label, and its tier: "trailcam 2 (device)"."""
        entry = self.entry
        if entry.answer.origin is Origin.CLOUD:
            return f"{entry.cloud_model or 'big model'} (cloud)"
        words = entry.model.rsplit(" ", 1)  # the store keeps name, version and label set
        return f"{words[0] if words[0].count(' ') else entry.model or 'little model'} (device)"


class Summary:
    """What is said of several frames: the likeliest thing that was seen; nothing, if all of them show nothing.

    Frames without a last word leave it open whether there was something, unless another frame shows it.

    Attributes:
        event: what was said of them as a whole, where they are an event that was answered so.
    """

    def __init__(self, first: Sighting) -> None:
        self.first = self.best = first
        self.start = self.end = first.captured_at
        self.frames = 1
        self.event = first.event

    def add(self, sighting: Sighting) -> None:
        """One frame more."""
        self.frames += 1
        if sighting.event is not None and (self.event is None or sighting.entry.cloud_model):
            self.event = sighting.event  # the frame that was sent knows which model answered
        self.start, self.end = min(self.start, sighting.captured_at), max(self.end, sighting.captured_at)
        if _weight(sighting) > _weight(self.best):
            self.best = sighting


def sightings(
    entries: Iterable[JournalEntry],
    media: Media,
    taxa: Taxa,
    *,
    event_gap_s: float = EVENT_GAP_S,
    event_of: Callable[[str], EventEntry | None] | None = None,
    event: str | None = None,
) -> Iterator[Sighting]:
    """What is said of each frame. Rows of the journal that are damaged are left out: nothing is known of them.

    Args:
        entries: by capture time, oldest first.
        media: finds the files.
        taxa: what labels mean.
        event_gap_s: frames of one camera that are further apart belong to two events, seconds.
        event_of: what the journal knows of an event, by its id; None: nothing.
        event: id of the event whose frames alone are given; None: all.

    Raises:
        OSError: a copy of a picture cannot be written.
    """
    gap = timedelta(seconds=event_gap_s)
    latest: dict[str, tuple[str, datetime]] = {}
    for entry in entries:
        answer = entry.answer
        if answer.reason is Reason.DAMAGED and answer.captured_at == _EPOCH:
            continue
        event_id = entry.event
        if not event_id:
            camera = camera_of(answer.source)
            begun, before = latest.get(camera, ("", _EPOCH))
            event_id = begun if begun and answer.captured_at - before <= gap else answer.frame_id
            latest[camera] = event_id, answer.captured_at
        if event is not None and event_id != event:
            continue
        medium = media.of(entry)
        whole = event_of(entry.event) if event_of is not None and entry.event else None
        if whole is not None and (entry.device.reason is Reason.EVENT or whole.event.origin is Origin.CLOUD):
            of_event = _sighting(_with_word(entry, whole), medium, event_id, taxa)
            yield replace(_sighting(entry, medium, event_id, taxa), event=of_event)
        else:
            yield _sighting(entry, medium, event_id, taxa)


def _sighting(entry: JournalEntry, medium: Medium, event_id: str, taxa: Taxa) -> Sighting:
    answer = entry.answer
    label = answer.label if answer.label is not None and answer.label.strip() else None
    subject = Kind.UNCLASSIFIED if label is None else taxa.kind(label, unknown=answer.level == ROOT)
    return Sighting(
        entry,
        medium,
        event_id,
        label,
        kind=subject if answer.final else Kind.UNCLASSIFIED,
        subject=subject,
        scientific_name="" if label is None else taxa.scientific_name(label),
        box=_box(entry, medium),
    )


def _with_word(entry: JournalEntry, whole: EventEntry) -> JournalEntry:
    """What is known of a frame, with the last word on its event as that on the frame."""
    event, audit = whole.event, whole.audit
    said = replace(
        entry.answer,
        label=event.label,
        level=event.level,
        confidence=event.confidence,
        origin=event.origin,
        final=event.final,
        reason=event.reason,
    )
    if event.origin is Origin.CLOUD:
        return replace(entry, answer=said, cloud=said, cloud_top_k=event.top_k, audit=audit)
    return replace(entry, answer=said, top_k=event.top_k, audit=audit)


def _box(entry: JournalEntry, medium: Medium) -> Box | None:
    """Where the model that said the label looked. A copy may be a part of the frame, and has a box of its own."""
    if medium.is_copied:
        return medium.box if entry.region is not None or entry.answer.origin is Origin.CLOUD else None
    if entry.region is None or entry.frame_size is None or min(entry.frame_size) < 1:
        return None
    return box_of(entry.region, entry.frame_size)


def _weight(sighting: Sighting) -> tuple[int, float]:
    rank = {Kind.BLANK: 0, Kind.UNCLASSIFIED: 1}.get(sighting.kind, 2)
    return rank, sighting.confidence


def _chance(value: object) -> float:
    return min(1.0, max(0.0, float(value))) if isinstance(value, (int, float)) and value == value else 0.0
