"""Answers as the wire carries them, about 17 bytes each: ids whole, times as differences, labels as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from edge_sdk.fleet.columns import (
    ID_BYTES,
    REST_BYTES,
    MalformedReport,
    byte_of,
    differences,
    id_parts,
    ids_of,
    packed,
    rows_of,
    share_of,
    sums,
    unpacked,
)
from edge_sdk.fleet.words import WordList, word_of
from edge_sdk.types import Origin, Reason
from edge_sdk.wire import offload_pb2 as wire

MOST_ROWS = 4_096
"""Rows of one report."""
REASONS = (
    Reason.CONFIDENT,
    Reason.UNSURE,
    Reason.EVICTED,
    Reason.EXPIRED,
    Reason.DAMAGED,
    Reason.REFUSED,
    Reason.GIVEN_UP,
    Reason.NOT_WORTH,
    Reason.PRIVATE,
    Reason.COMPUTE_SPENT,
    Reason.CLOUD,
    Reason.GROUP,
    Reason.AUDIT,
    Reason.EVENT,
    Reason.OUTSIDE,
)
"""Reasons by their number on the wire; new ones come to the end (`protos/offload.proto` lists them)."""

_CLOUD, _AUDIT, _REASON_FROM = 1, 2, 2
MOST_MS = 253_402_300_799_999
"""The end of the year 9999, milliseconds since 1970."""
_MOST_OFFSET = 24 * 60 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class AuditedAs:
    """What an audit counts for, where its device tells it.

    Attributes:
        chance: with which it was drawn, a float of 32 bits in (0, 1].
        device_class: the device's class, of an event that of the event; "": as its label.
        cloud_class: the cloud's; "": as its label, or it did not answer.
        is_event: the frame stands for an event that was answered as a whole.
    """

    chance: float
    device_class: str = ""
    cloud_class: str = ""
    is_event: bool = False


@dataclass(frozen=True, slots=True)
class ReportedAnswer:
    """A final answer, as it travels.

    Attributes:
        frame_id: 32 hexadecimal digits.
        captured_at: to the millisecond, with the zone's offset to the minute.
        source: the camera: a live one, or the folder of photos and videos.
        model: the little model's name, version and label set; "": none ran.
        label: the last word; None: there is none.
        confidence: of `label`, in steps of 1/255.
        origin: who says so.
        reason: why; None: one that this version does not know.
        device_label: what the little model said; None: nothing.
        device_confidence: of `device_label`.
        event_id: the event of the frame.
        audit: a confident frame that was sent all the same.
        audited: what it counts for as an audit; None: it is none, or that is not known.
    """

    frame_id: str
    captured_at: datetime
    source: str
    model: str
    label: str | None
    confidence: float
    origin: Origin
    reason: Reason | None
    device_label: str | None
    device_confidence: float
    event_id: str
    audit: bool = False
    audited: AuditedAs | None = None


def pack_answers(answers: Sequence[ReportedAnswer], words: WordList) -> wire.ReportedAnswers:
    """The rows of a report; new words are put to the list."""
    times, rest = id_parts(one.frame_id for one in answers)
    events = list(dict.fromkeys(one.event_id for one in answers if one.event_id not in ("", one.frame_id)))
    places = {event_id: place + 1 for place, event_id in enumerate(events)}
    differ = any(one.origin is Origin.CLOUD for one in answers)
    return wire.ReportedAnswers(
        id_rest=rest,
        id_time=differences(times),
        captured=differences(milliseconds(one.captured_at) - time for one, time in zip(answers, times, strict=True)),
        utc_offset=packed([offset_of(one.captured_at) for one in answers]),
        label=packed([words.number_of(one.label) for one in answers]),
        confidence=bytes(packed([byte_of(one.confidence) for one in answers])),
        said=packed([said_of(one.origin, one.reason, one.audit) for one in answers]),
        device_label=packed(
            [0 if one.device_label == one.label else words.number_of(one.device_label) for one in answers]
        ),
        device_confidence=bytes(packed([byte_of(one.device_confidence) for one in answers])) if differ else b"",
        source=packed([words.number_of(one.source) for one in answers]),
        model=packed([words.number_of(one.model) for one in answers]),
        event=packed([places.get(one.event_id, 0) for one in answers]),
        event_ids=bytes.fromhex("".join(events)),
        audited=_pack_audited(answers, words),
    )


def unpack_answers(rows: wire.ReportedAnswers, words: Sequence[str]) -> list[ReportedAnswer]:
    """The answers of which `pack_answers` made the rows.

    Args:
        rows: as they came.
        words: all of the device's list.

    Raises:
        MalformedReport: they are not as the wire says.
    """
    count = rows_of("id_rest", rows.id_rest, REST_BYTES, MOST_ROWS)
    times = sums("id_time", rows.id_time, count, 1 << 48)
    captured = sums("captured", rows.captured, count, 2 * MOST_MS)
    ids = ids_of(times, rows.id_rest)
    events = [one.hex() for one in _cut(rows.event_ids, rows_of("event_ids", rows.event_ids, ID_BYTES, MOST_ROWS))]
    offset, label, said, device_label, source, model, event = (
        unpacked(name, getattr(rows, name), count)
        for name in ("utc_offset", "label", "said", "device_label", "source", "model", "event")
    )
    confidence = unpacked("confidence", rows.confidence, count)
    device_confidence = unpacked("device_confidence", rows.device_confidence, count)
    meanings = [meaning_of(one) for one in said]
    audited = iter(_unpack_audited(rows.audited, words, sum(audit for *_, audit in meanings)))
    found = []
    for n in range(count):
        if event[n] > len(events):
            raise MalformedReport(f"expected numbers of at most {len(events)} events; got {event[n]}")
        origin, reason, audit = meanings[n]
        last = word_of(words, label[n]) or None
        is_device = origin is Origin.DEVICE
        found.append(
            ReportedAnswer(
                ids[n],
                moment_of(times[n] + captured[n], offset[n]),
                word_of(words, source[n]),
                word_of(words, model[n]),
                last,
                share_of(confidence[n]),
                origin,
                reason,
                word_of(words, device_label[n]) or last,
                share_of(confidence[n] if is_device else device_confidence[n]),
                events[event[n] - 1] if event[n] else ids[n],
                audit,
                next(audited) if audit else None,
            )
        )
    return found


def _pack_audited(answers: Sequence[ReportedAnswer], words: WordList) -> wire.AuditedAnswers | None:
    audits = [one for one in answers if one.audit]
    if not any(one.audited for one in audits):
        return None
    told = [one.audited or AuditedAs(0.0) for one in audits]
    return wire.AuditedAnswers(
        chance=[one.chance for one in told],
        is_event=packed([int(one.is_event) for one in told]),
        device_class=packed([words.number_of(one.device_class) for one in told]),
        cloud_class=packed([words.number_of(one.cloud_class) for one in told]),
    )


def _unpack_audited(came: wire.AuditedAnswers, words: Sequence[str], audits: int) -> list[AuditedAs | None]:
    """What each of so many audits counts for; nothing where an older device does not tell."""
    if not came.chance:
        return [None] * audits
    if len(came.chance) != audits or not all(0 <= chance <= 1 for chance in came.chance):
        raise MalformedReport(f"expected {audits} chances of audits from 0 to 1; got others")
    device, cloud, event = (
        unpacked(name, getattr(came, name), audits) for name in ("device_class", "cloud_class", "is_event")
    )
    return [
        AuditedAs(chance, word_of(words, device[n]), word_of(words, cloud[n]), bool(event[n])) if chance else None
        for n, chance in enumerate(came.chance)
    ]


def said_of(origin: Origin, reason: Reason | None, audit: bool = False) -> int:
    """Origin, reason and audit in one number."""
    number = REASONS.index(reason) if reason in REASONS else len(REASONS)
    return (_CLOUD if origin is Origin.CLOUD else 0) | (_AUDIT if audit else 0) | number << _REASON_FROM


def meaning_of(said: int) -> tuple[Origin, Reason | None, bool]:
    """Of which `said_of` made the number; None for a reason that this version does not know."""
    number = said >> _REASON_FROM
    reason = REASONS[number] if number < len(REASONS) else None
    return Origin.CLOUD if said & _CLOUD else Origin.DEVICE, reason, bool(said & _AUDIT)


def milliseconds(moment: datetime) -> int:
    """Since 1970."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def offset_of(moment: datetime) -> int:
    """Minutes of the zone's offset."""
    return (moment.utcoffset() or timedelta(0)) // timedelta(minutes=1)


def moment_of(since_1970_ms: int, offset: int) -> datetime:
    """The time, in the zone of that offset.

    Raises:
        MalformedReport: it is not in the calendar.
    """
    if not (0 <= since_1970_ms + MOST_MS <= 2 * MOST_MS and -_MOST_OFFSET <= offset <= _MOST_OFFSET):
        raise MalformedReport("expected a time of the calendar; got another")
    try:
        at = _EPOCH + timedelta(milliseconds=since_1970_ms)
        return at if offset == 0 else at.astimezone(timezone(timedelta(minutes=offset)))
    except OverflowError:
        raise MalformedReport("expected a time of the calendar; got another") from None


def _cut(content: bytes, rows: int) -> list[bytes]:
    return [content[number * ID_BYTES : (number + 1) * ID_BYTES] for number in range(rows)]
