"""Rows of the journal: the table, how an answer is written into it, and read back and checked."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from edge_sdk.types import Answer, Origin, Reason

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SCHEMA = (
    """CREATE TABLE IF NOT EXISTS frame (
        number INTEGER PRIMARY KEY,
        frame_id TEXT NOT NULL UNIQUE,
        captured_us INTEGER NOT NULL,
        utc_offset_s INTEGER NOT NULL,
        source TEXT NOT NULL,
        truth TEXT,
        note TEXT NOT NULL,
        device_label TEXT, device_confidence REAL, device_final INTEGER, device_reason TEXT,
        cloud_label TEXT, cloud_confidence REAL, cloud_final INTEGER, cloud_reason TEXT,
        origin TEXT AS (iif(cloud_reason IS NULL, 'device', 'cloud')),
        label TEXT AS (iif(cloud_reason IS NULL, device_label, cloud_label)),
        final INTEGER AS (iif(cloud_reason IS NULL, device_final, cloud_final))
    )""",
    "CREATE INDEX IF NOT EXISTS frame_captured ON frame (captured_us, number)",
    # Since version 2: each answer's checksum, NULL in older rows, and what waits for another word.
    "ALTER TABLE frame ADD COLUMN device_check INTEGER",
    "ALTER TABLE frame ADD COLUMN cloud_check INTEGER",
    "CREATE INDEX frame_open ON frame (number) WHERE cloud_reason IS NULL AND device_final = 0",
)
OPEN = "cloud_reason IS NULL AND device_final = 0"

COLUMNS = (
    "frame_id, captured_us, utc_offset_s, source, truth, note, device_label, device_confidence, device_final, "
    "device_reason, device_check, cloud_label, cloud_confidence, cloud_final, cloud_reason, cloud_check"
)


def _upsert(origin: str, unsettled: str) -> str:
    """Write an answer of `origin` unless its row is already settled."""
    columns = ", ".join(f"{origin}_{name}" for name in ("label", "confidence", "final", "reason", "check"))
    updates = ", ".join(f"{name} = excluded.{name}" for name in columns.split(", "))
    return (
        f"INSERT INTO frame (frame_id, captured_us, utc_offset_s, source, truth, note, {columns}) "
        f"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (frame_id) DO UPDATE SET {updates}, "
        "truth = coalesce(excluded.truth, truth), note = iif(excluded.note = '', note, excluded.note) "
        f"WHERE {unsettled}"
    )


UPSERTS = {
    Origin.DEVICE: _upsert("device", "device_final IS NOT 1"),
    Origin.CLOUD: _upsert("cloud", "cloud_reason IS NULL"),
}


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """What is known of one frame.

    Attributes:
        answer: the last word so far.
        device: the device's answer, None if only the cloud's is known.
        cloud: the cloud's answer, None if there is none.
        truth: the true label, where it is known.
        note: a remark, such as the cloud's message when it refused the frame.
    """

    answer: Answer
    device: Answer | None
    cloud: Answer | None
    truth: str | None
    note: str


def microseconds(moment: datetime) -> int:
    """Since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def checksum(frame_id: str, said: tuple[Any, ...]) -> int:
    """Of one answer: SQLite notices damage to its own structure, not to what it keeps."""
    return zlib.crc32(repr((frame_id, said)).encode())


def _is_sound(row: tuple[Any, ...]) -> bool:
    """Whether the answers in a row of `COLUMNS` are as they were written."""
    return all(check is None or check == checksum(row[0], tuple(said)) for *said, check in (row[6:11], row[11:16]))


def entry_of(row: tuple[Any, ...]) -> JournalEntry | None:
    """What a row of `COLUMNS` says; None if it is damaged."""
    try:
        return _entry_of(row) if _is_sound(row) else None
    except (ValueError, TypeError, OverflowError):  # a time or a reason that there is not
        return None


def _entry_of(row: tuple[Any, ...]) -> JournalEntry:
    frame_id, captured_us, utc_offset_s, source, truth, note = row[:6]
    zone = UTC if utc_offset_s == 0 else timezone(timedelta(seconds=utc_offset_s))
    captured_at = (_EPOCH + timedelta(microseconds=captured_us)).astimezone(zone)

    def answer(origin: Origin, columns: tuple[Any, ...]) -> Answer | None:
        label, confidence, final, reason, _ = columns
        if reason is None:
            return None
        return Answer(frame_id, captured_at, source, label, confidence, origin, bool(final), Reason(reason))

    device, cloud = answer(Origin.DEVICE, row[6:11]), answer(Origin.CLOUD, row[11:16])
    last = cloud or device
    if last is None:
        raise ValueError("expected at least one answer in a row")
    return JournalEntry(answer=last, device=device, cloud=cloud, truth=truth, note=note)
