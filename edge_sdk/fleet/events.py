"""Events that have ended, as the wire carries them: about 26 bytes each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from edge_sdk.fleet.answers import MOST_MS, MOST_ROWS, meaning_of, milliseconds, moment_of, offset_of, said_of
from edge_sdk.fleet.columns import ID_BYTES, MOST_COUNT, byte_of, differences, packed, rows_of, share_of, sums, unpacked
from edge_sdk.fleet.words import WordList, word_of
from edge_sdk.types import Origin, Reason
from edge_sdk.wire import offload_pb2 as wire

_MOST_LASTED_MS = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class ReportedEvent:
    """An event with its last word, as it travels.

    Attributes:
        event_id: 32 hexadecimal digits.
        source: the camera.
        began_at: to the millisecond, with the zone's offset to the minute.
        ended_at: when its last frame was taken; 49 days later at the most.
        frames: how many it has.
        label: the last word; None: there is none.
        confidence: of that, in steps of 1/255.
        origin: who says so.
        reason: why; None: one that this version does not know.
        audit: it is confident, and a frame of it was sent all the same.
    """

    event_id: str
    source: str
    began_at: datetime
    ended_at: datetime
    frames: int
    label: str | None
    confidence: float
    origin: Origin
    reason: Reason | None
    audit: bool = False


def pack_events(events: Sequence[ReportedEvent], words: WordList) -> wire.ReportedEvents:
    """The rows of a report; new words are put to the list."""
    return wire.ReportedEvents(
        event_ids=bytes.fromhex("".join(one.event_id for one in events)),
        began=differences(milliseconds(one.began_at) for one in events),
        lasted=packed([_lasted_ms(one) for one in events]),
        utc_offset=packed([offset_of(one.began_at) for one in events]),
        frames=packed([one.frames for one in events]),
        label=packed([words.number_of(one.label) for one in events]),
        confidence=bytes(packed([byte_of(one.confidence) for one in events])),
        said=packed([said_of(one.origin, one.reason, one.audit) for one in events]),
        source=packed([words.number_of(one.source) for one in events]),
    )


def unpack_events(rows: wire.ReportedEvents, words: Sequence[str]) -> list[ReportedEvent]:
    """The events of which `pack_events` made the rows.

    Args:
        rows: as they came.
        words: all of the device's list.

    Raises:
        MalformedReport: they are not as the wire says.
    """
    count = rows_of("event_ids", rows.event_ids, ID_BYTES, MOST_ROWS)
    began = sums("began", rows.began, count, MOST_MS)
    lasted, offset, frames, label, said, source = (
        unpacked(name, getattr(rows, name), count)
        for name in ("lasted", "utc_offset", "frames", "label", "said", "source")
    )
    confidence = unpacked("confidence", rows.confidence, count)
    found = []
    for n in range(count):
        origin, reason, audit = meaning_of(said[n])
        found.append(
            ReportedEvent(
                rows.event_ids[n * ID_BYTES : (n + 1) * ID_BYTES].hex(),
                word_of(words, source[n]),
                moment_of(began[n], offset[n]),
                moment_of(began[n] + lasted[n], offset[n]),
                min(frames[n], MOST_COUNT),
                word_of(words, label[n]) or None,
                share_of(confidence[n]),
                origin,
                reason,
                audit,
            )
        )
    return found


def _lasted_ms(event: ReportedEvent) -> int:
    return max(0, min((event.ended_at - event.began_at) // timedelta(milliseconds=1), _MOST_LASTED_MS))
