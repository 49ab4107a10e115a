"""Rows of the journal: the table, how an answer is written into it, and read back and checked.

Each answer has a checksum. It also tells which bit of an answer was flipped, if only one was: the flip that makes it
right again. What is damaged more than that is told as such; the rest of its row is kept.
"""

from __future__ import annotations

import sqlite3
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from edge_sdk.types import Answer, Origin, Reason

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_REASONS = frozenset(Reason)
_UNREADABLE = "\ufffd"  # what `database.readable` makes of a byte that is no text
_CHECK_BITS = (1 << 48) - 1  # of an integer as SQLite keeps a checksum
_NO_CHECKSUM = -1
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

DAMAGED_ROW = "its row in the journal was damaged"
"""The note on a frame that waited for another word when its row was found damaged."""

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
        damaged: an answer that was written here cannot be read any more. Where it was the last word, `answer` is final
            with the reason `DAMAGED`: the device's, or one without a label.
    """

    answer: Answer
    device: Answer | None
    cloud: Answer | None
    truth: str | None
    note: str
    damaged: bool = False


def microseconds(moment: datetime) -> int:
    """Since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def checksum(frame_id: str, said: tuple[Any, ...]) -> int:
    """Of one answer: SQLite notices damage to its own structure, not to what it keeps."""
    return zlib.crc32(repr((frame_id, said)).encode())


def damaged_row(frame_id: str, captured_us: int) -> tuple[Any, ...]:
    """For `UPSERTS`: a frame of which nothing else can be read; any answer that comes takes its place."""
    return (frame_id, captured_us, 0, "", None, "", None, 0.0, 0, Reason.DAMAGED.value, _NO_CHECKSUM)


def missed_frames(damaged: sqlite3.Connection, saved: sqlite3.Connection) -> list[tuple[str, int]]:
    """Ids and capture times of frames that the indexes of a damaged journal name and the saved rows do not hold."""
    ids: dict[int, str] = {}
    for number, frame_id in _indexed(damaged, "sqlite_autoindex_frame_1", "frame_id"):
        if saved.execute("SELECT 1 FROM frame WHERE number = ? OR frame_id = ?", [number, frame_id]).fetchone() is None:
            ids[number] = frame_id
    times = {}
    if ids:
        times = {number: us for number, us in _indexed(damaged, "frame_captured", "captured_us") if number in ids}
    return [(frame_id, times.get(number, 0)) for number, frame_id in ids.items()]


def _indexed(damaged: sqlite3.Connection, index: str, column: str) -> Iterator[tuple[int, Any]]:
    """Number and value of each row, from an index alone, as far as it can be read from either end."""
    for order in ("ASC", "DESC"):
        try:
            yield from damaged.execute(
                f"SELECT number, {column} FROM frame INDEXED BY {index} ORDER BY {column} {order}"
            )
            return
        except (sqlite3.Error, UnicodeDecodeError):
            continue


def entry_of(row: tuple[Any, ...]) -> JournalEntry:
    """What a row of `COLUMNS` says; of a damaged one, what can still be made out."""
    named, captured_us, utc_offset_s, source, truth, note = row[:6]
    written = {
        origin: (said, check)
        for origin, (*said, check) in ((Origin.DEVICE, row[6:11]), (Origin.CLOUD, row[11:16]))
        if said[3] is not None or check is not None
    }
    frame_id, sound = _read(named, written)
    source = source if isinstance(source, str) else ""
    captured_at, dated = _moment(captured_us, utc_offset_s)
    answers = {}
    for origin, (label, confidence, final, reason) in sound.items():
        if reason in _REASONS:
            answers[origin] = Answer(
                frame_id, captured_at, source, label, confidence, origin, bool(final), Reason(reason)
            )
    device, cloud = answers.get(Origin.DEVICE), answers.get(Origin.CLOUD)
    damaged = not dated or not written or len(answers) < len(written)
    last = cloud or device or Answer(frame_id, captured_at, source, None, 0.0, Origin.DEVICE, True, Reason.DAMAGED)
    if cloud is None and (Origin.CLOUD in written or device is None):
        last = replace(last, final=True, reason=Reason.DAMAGED)
    truth = truth if isinstance(truth, str) else None
    return JournalEntry(last, device, cloud, truth, note if isinstance(note, str) else "", damaged)


def _read(named: Any, written: dict[Origin, tuple[list[Any], Any]]) -> tuple[str, dict[Origin, list[Any]]]:
    """The frame's id, and what of its answers is as it was written, or is known to have been so."""
    if not any(check is None or check == checksum(named, tuple(said)) for said, check in written.values()):
        for said, check in written.values():
            if (mended := _mended([named, *said], check)) is not None:
                named = mended[0]
                break
    sound = {}
    for origin, (said, check) in written.items():
        if check is None or check == checksum(named, tuple(said)):
            sound[origin] = said
        elif (mended := _mended([named, *said], check)) is not None and mended[0] == named:
            sound[origin] = mended[1:]
    return named if isinstance(named, str) else str(named), sound


def _mended(values: list[Any], check: Any) -> list[Any] | None:
    """A frame's id and an answer on it as they were before one bit of them, or of their checksum, was flipped."""
    if not isinstance(check, int):
        return None
    if ((check ^ checksum(values[0], tuple(values[1:]))) & _CHECK_BITS).bit_count() == 1:
        return values
    if check < 0:  # none of an answer
        return None
    for place, value in enumerate(values):
        for other in _one_bit_away(value):
            tried = [*values[:place], other, *values[place + 1 :]]
            if checksum(tried[0], tuple(tried[1:])) == check:
                return tried
    return None


def _one_bit_away(value: Any) -> Iterator[Any]:
    """What may have stood where `value` is read; a bit of its type in the file may have been flipped too."""
    if isinstance(value, str) and _UNREADABLE in value:
        yield from (value.replace(_UNREADABLE, chr(code), 1) for code in range(128))
    elif isinstance(value, str):
        content = value.encode()
        for flipped in _flips(content):
            try:
                yield flipped.decode()
            except UnicodeDecodeError:
                continue
    elif isinstance(value, bytes):
        yield value.decode("utf-8", "replace")
    elif isinstance(value, float):
        yield from (0.0, 1.0)
        yield from (struct.unpack(">d", flipped)[0] for flipped in _flips(struct.pack(">d", value)))
    else:
        yield from (0, 1)
        if isinstance(value, int):
            yield struct.unpack(">d", struct.pack(">q", value))[0]


def _flips(content: bytes) -> Iterator[bytes]:
    for at, byte in enumerate(content):
        for bit in range(8):
            yield content[:at] + bytes([byte ^ 1 << bit]) + content[at + 1 :]


def _moment(captured_us: Any, utc_offset_s: Any) -> tuple[datetime, bool]:
    """The capture time; 1970 and False where there is no such time."""
    try:
        zone = UTC if utc_offset_s == 0 else timezone(timedelta(seconds=utc_offset_s))
        return (_EPOCH + timedelta(microseconds=captured_us)).astimezone(zone), True
    except (ValueError, TypeError, OverflowError):
        return _EPOCH, False
