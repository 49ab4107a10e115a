"""The tables of `reports.db`: what they hold, what earlier versions of the file lack, and the rows that are written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edge_sdk.fleet.answers import ReportedAnswer, milliseconds, offset_of
from edge_sdk.fleet.events import ReportedEvent
from edge_sdk.types import Origin

VERSION = 6
SCHEMA = (
    # One row a device: what its latest report says, as JSON.
    """CREATE TABLE IF NOT EXISTS devices (
        device TEXT PRIMARY KEY,
        first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL,
        status TEXT NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS words (
        device TEXT NOT NULL, place INTEGER NOT NULL, list INTEGER NOT NULL, word TEXT NOT NULL,
        PRIMARY KEY (device, place)
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS answers (
        number INTEGER PRIMARY KEY,
        device TEXT NOT NULL, frame_id TEXT NOT NULL, received_ms INTEGER NOT NULL,
        captured_ms INTEGER NOT NULL, utc_offset INTEGER NOT NULL,
        source TEXT NOT NULL, model TEXT NOT NULL, event_id TEXT NOT NULL,
        label TEXT, confidence REAL NOT NULL, origin TEXT NOT NULL, reason TEXT NOT NULL,
        device_label TEXT, device_confidence REAL NOT NULL, audit INTEGER NOT NULL,
        audit_chance REAL, audit_event INTEGER, device_class TEXT, cloud_class TEXT,
        UNIQUE (device, frame_id)
    )""",
    "CREATE INDEX IF NOT EXISTS answers_captured ON answers (device, captured_ms)",
    "CREATE INDEX IF NOT EXISTS answers_time ON answers (captured_ms, number)",
    "CREATE INDEX IF NOT EXISTS answers_audits ON answers (captured_ms, number) WHERE audit <> 0",
    """CREATE TABLE IF NOT EXISTS events (
        number INTEGER PRIMARY KEY,
        device TEXT NOT NULL, event_id TEXT NOT NULL, received_ms INTEGER NOT NULL,
        began_ms INTEGER NOT NULL, ended_ms INTEGER NOT NULL, utc_offset INTEGER NOT NULL,
        source TEXT NOT NULL, frames INTEGER NOT NULL,
        label TEXT, confidence REAL NOT NULL, origin TEXT NOT NULL, reason TEXT NOT NULL,
        audit INTEGER NOT NULL DEFAULT 0,
        UNIQUE (device, event_id)
    )""",
    "CREATE INDEX IF NOT EXISTS events_began ON events (device, began_ms)",
    "CREATE INDEX IF NOT EXISTS events_time ON events (began_ms, number)",
    # Counters as they were at each report, for what was done in a stretch of time.
    """CREATE TABLE IF NOT EXISTS history (
        number INTEGER PRIMARY KEY,
        device TEXT NOT NULL, at_ms INTEGER NOT NULL, frames INTEGER NOT NULL, exits INTEGER NOT NULL,
        bytes_sent INTEGER NOT NULL, waiting INTEGER, celsius REAL, battery REAL
    )""",
    "CREATE INDEX IF NOT EXISTS history_at ON history (device, at_ms)",
)

ANSWERS_ADDED = ("audit_chance REAL", "audit_event INTEGER", "device_class TEXT", "cloud_class TEXT")
"""Columns of `answers` that version 4 does not have: what an audit counts for; null where that is not known."""
EVENTS_ADDED = ("audit INTEGER NOT NULL DEFAULT 0",)
"""Columns of `events` that version 2 does not have."""
HISTORY_ADDED = ("waiting INTEGER", "celsius REAL", "battery REAL")
"""Columns of `history` that version 3 does not have."""

ANSWER_COLUMNS = (
    *("device", "frame_id", "received_ms", "captured_ms", "utc_offset", "source", "model", "event_id", "label"),
    *("confidence", "origin", "reason", "device_label", "device_confidence", "audit"),
    *("audit_chance", "audit_event", "device_class", "cloud_class"),
)
"""Of `answer_row`."""
EVENT_COLUMNS = (
    *("device", "event_id", "received_ms", "began_ms", "ended_ms", "utc_offset", "source", "frames", "label"),
    *("confidence", "origin", "reason", "audit"),
)
"""Of `event_row`."""


def _put(table: str, columns: Sequence[str]) -> str:
    """Keeps a row; one that comes again takes the place of the earlier one, but for when it came first."""
    newer = ", ".join(f"{name} = excluded.{name}" for name in columns[3:])
    places = ", ".join("?" * len(columns))
    own = ", ".join(columns[:2])
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places}) ON CONFLICT ({own}) DO UPDATE SET {newer}"


PUT_ANSWER = _put("answers", ANSWER_COLUMNS)
PUT_EVENT = _put("events", EVENT_COLUMNS)


def answer_row(device: str, received_ms: int, one: ReportedAnswer) -> tuple[Any, ...]:
    """The values of `PUT_ANSWER`."""
    return (
        device,
        one.frame_id,
        received_ms,
        milliseconds(one.captured_at),
        offset_of(one.captured_at),
        one.source,
        one.model,
        one.event_id,
        one.label,
        one.confidence,
        one.origin.value,
        "" if one.reason is None else one.reason.value,
        one.device_label,
        one.device_confidence,
        int(one.audit),
        *_audited(one),
    )


def _audited(one: ReportedAnswer) -> tuple[Any, ...]:
    """Of an audit its chance, whether it stands for an event, and both classes; null where they are not known."""
    if (told := one.audited) is None:
        return None, None, None, None
    cloud = (told.cloud_class or one.label) if one.origin is Origin.CLOUD else None
    return told.chance, int(told.is_event), told.device_class or one.device_label, cloud


def event_row(device: str, received_ms: int, one: ReportedEvent) -> tuple[Any, ...]:
    """The values of `PUT_EVENT`."""
    return (
        device,
        one.event_id,
        received_ms,
        milliseconds(one.began_at),
        milliseconds(one.ended_at),
        offset_of(one.began_at),
        one.source,
        one.frames,
        one.label,
        one.confidence,
        one.origin.value,
        "" if one.reason is None else one.reason.value,
        int(one.audit),
    )
