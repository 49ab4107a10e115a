"""One event from the gate to its last word, for a person to follow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from edge_sdk.errors import StorageError
from edge_sdk.report.display import answer_text, event_text
from edge_sdk.store.schema import State
from edge_sdk.terminal.tables import Facts, Rows
from edge_sdk.types import Origin

if TYPE_CHECKING:
    from edge_sdk.store.events import EventEntry
    from edge_sdk.store.journal import Journal, JournalEntry
    from edge_sdk.types import Region

_HEADS = ("taken", "trigger", "region", "the device said", "sent", "the cloud said", "frame")
_LEFT = _HEADS[1:4] + _HEADS[5:]


def find_event(journal: Journal, event_id: str) -> tuple[EventEntry, list[JournalEntry]]:
    """An event, and its frames as they were taken.

    Raises:
        StorageError: the journal has no such event.
    """
    event = journal.event(event_id)
    if event is None:
        raise StorageError(f"expected the id of an event, as `edge-sdk journal --events` prints it; got {event_id!r}")
    return event, list(journal.query(event=event_id))


def told(entry: EventEntry, frames: Iterable[JournalEntry]) -> tuple[Facts, Rows]:
    """The event in words, and a line for each of its frames that are still known."""
    event = entry.event
    facts = Facts(f"event {event.event_id}")
    facts.add("camera", event.source)
    facts.add("began", f"{event.began_at:%Y-%m-%d %H:%M:%S %z}")
    facts.add("the device said", f"{entry.device_label} {entry.device_confidence:.2f}")
    top = ", ".join(f"{label} {chance:.2f}" for label, chance in event.top_k) or "unknown"
    facts.add("the cloud said" if event.origin is Origin.CLOUD else "likeliest", top)
    facts.add("last word", f"{event_text(event)}{'' if event.final else ', waits' if entry.ended else ', open'}")
    if entry.audit_chance is not None:
        facts.add("audit", f"{'drawn' if entry.audit else 'not drawn'}, at a chance of {entry.audit_chance:.2%}")
    facts.add("answers for it", f"frame {event.best_frame_id}")
    rows = Rows("", _HEADS, left=_LEFT)
    for frame in frames:
        rows.add(
            f"{frame.answer.captured_at:%H:%M:%S.%f}"[:-3],
            frame.trigger or "none",
            _region_text(frame.region),
            answer_text(frame.device),
            _sent_text(frame),
            _cloud_text(frame),
            frame.answer.frame_id,
        )
    return facts, rows


def _region_text(region: Region | None) -> str:
    if region is None:
        return "none"
    return f"{region.width}x{region.height} at {region.x},{region.y}{', held' if region.held else ''}"


def _cloud_text(frame: JournalEntry) -> str:
    if frame.cloud is None:
        return ""
    left_at = f", exit {frame.cloud.exit}" if frame.cloud.exit else ""
    return f"{frame.cloud.label} {frame.cloud.confidence:.2f}{left_at}"


def _sent_text(frame: JournalEntry) -> str:
    if frame.cloud is not None:
        return f"{frame.picture_bytes / 1e3:.1f} kB"
    return "waits" if frame.state is State.WAITING else ""
