"""The one table of frames: its columns, the statements that change it, and rows as values.

A frame's row is written once with the device's word on it, and changed at most once more: when the cloud answers, when
it refuses, or when the frame is lost. The statements leave a row alone that has its final answer already, so a
repeated or late word changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any

from edge_sdk.durable.database import storable
from edge_sdk.types import Answer, Origin, Reason, Region

VERSION = 11
SCHEMA = (
    """CREATE TABLE IF NOT EXISTS frames (
        number INTEGER PRIMARY KEY,
        frame_id TEXT NOT NULL UNIQUE,
        state TEXT NOT NULL,
        captured_us INTEGER NOT NULL,
        utc_offset_s INTEGER NOT NULL,
        handled_ns INTEGER NOT NULL,
        source TEXT NOT NULL, "trigger" TEXT NOT NULL, event TEXT NOT NULL,
        model TEXT NOT NULL, label TEXT, confidence REAL NOT NULL, top_k TEXT NOT NULL,
        gain REAL, reason TEXT NOT NULL, note TEXT NOT NULL,
        picture TEXT, bytes INTEGER NOT NULL, rank REAL NOT NULL,
        cloud_model TEXT, cloud_label TEXT, cloud_confidence REAL, cloud_top_k TEXT,
        truth TEXT, audit INTEGER NOT NULL, reported INTEGER NOT NULL DEFAULT 0,
        region TEXT, audit_chance REAL, level TEXT, cloud_level TEXT, event_class TEXT, cloud_exit TEXT
    )""",
    "CREATE INDEX IF NOT EXISTS frames_captured ON frames (captured_us, number)",
    "CREATE INDEX IF NOT EXISTS frames_pictured ON frames (rank, state) WHERE picture IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS frames_unreported ON frames (number) "
    "WHERE reported = 0 AND state NOT IN ('waiting', 'sent')",
    # One row a visit (`edge_sdk.store.events`). `state` is as a frame's: waiting while the last word is to come.
    """CREATE TABLE IF NOT EXISTS events (
        event_id TEXT PRIMARY KEY,
        state TEXT NOT NULL,
        source TEXT NOT NULL,
        began_us INTEGER NOT NULL, ended_us INTEGER NOT NULL, utc_offset_s INTEGER NOT NULL,
        frames INTEGER NOT NULL, ended INTEGER NOT NULL,
        label TEXT NOT NULL, confidence REAL NOT NULL, top_k TEXT NOT NULL,
        best_frame TEXT NOT NULL, reason TEXT NOT NULL,
        last_label TEXT NOT NULL, last_confidence REAL NOT NULL, origin TEXT NOT NULL,
        revision INTEGER NOT NULL DEFAULT 0, also TEXT NOT NULL DEFAULT '', model TEXT NOT NULL DEFAULT '',
        handled_ns INTEGER NOT NULL DEFAULT 0, level TEXT NOT NULL DEFAULT '', reported INTEGER,
        audit INTEGER NOT NULL DEFAULT 0, audit_chance REAL
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS events_began ON events (began_us)",
    "CREATE INDEX IF NOT EXISTS events_unreported ON events (began_us) "
    "WHERE reported IS NULL AND ended = 1 AND state NOT IN ('waiting', 'sent')",
    # Of frames whose rows have left, what is known of audits (`edge_sdk.store.audits`); `events`: 1 of those that stand
    # for an event.
    """CREATE TABLE IF NOT EXISTS audit_counts (
        model TEXT NOT NULL, events INTEGER NOT NULL, chance REAL NOT NULL,
        frames INTEGER NOT NULL, drawn INTEGER NOT NULL, answered INTEGER NOT NULL, waiting INTEGER NOT NULL,
        differ INTEGER NOT NULL, labelled INTEGER NOT NULL, wrong INTEGER NOT NULL,
        lost INTEGER NOT NULL, won INTEGER NOT NULL, open INTEGER NOT NULL,
        causes INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (model, events, chance)
    ) WITHOUT ROWID""",
    # Where the elapsed clock goes on from after a restart.
    "CREATE TABLE IF NOT EXISTS clock "
    "(elapsed_ns INTEGER NOT NULL, wall_s REAL NOT NULL, steady_s REAL NOT NULL, boot_id TEXT)",
    # Tries spent on frames that wait and have failed; of the others there is no row.
    "CREATE TABLE IF NOT EXISTS tries (frame_id TEXT PRIMARY KEY, spent REAL NOT NULL) WITHOUT ROWID",
    # Files of cards that were done; the digest is of path, size, date and model.
    "CREATE TABLE IF NOT EXISTS done_files (number INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE)",
)

ADDED = ("region TEXT", "audit_chance REAL", "level TEXT", "cloud_level TEXT", "event_class TEXT", "cloud_exit TEXT")
"""Columns of `frames` that version 3 does not have, in their order."""
EVENTS_ADDED = (
    "revision INTEGER NOT NULL DEFAULT 0",
    "also TEXT NOT NULL DEFAULT ''",
    "model TEXT NOT NULL DEFAULT ''",
    "handled_ns INTEGER NOT NULL DEFAULT 0",
    "level TEXT NOT NULL DEFAULT ''",
    "reported INTEGER",
    "audit INTEGER NOT NULL DEFAULT 0",
    "audit_chance REAL",
)
"""Columns of `events` that versions 6 to 8 do not have; version 6 writes no rows there."""
COUNTS_ADDED = ("causes INTEGER NOT NULL DEFAULT 0",)
"""Columns of `audit_counts` that version 9 does not have: what left before then speaks for no alarm."""


class State(StrEnum):
    """What has become of a frame."""

    FINAL = "final"
    """The device's answer is the last word."""
    WAITING = "waiting"
    SENT = "sent"
    """It still waits in the spool, and was sent at least once."""
    ANSWERED = "answered"
    """The cloud's answer is the last word."""
    LOST = "lost"
    """It left the spool without an answer, and the device's is final; the reason says why."""


OPEN = f"state IN ('{State.WAITING}', '{State.SENT}')"
"""The condition for frames that wait in the spool."""
ARCHIVED = f"picture IS NOT NULL AND rank >= 0 AND NOT ({OPEN})"
"""The condition for frames whose picture is kept after their last word."""
SETTLED = f"state NOT IN ('{State.WAITING}', '{State.SENT}')"
"""The condition for frames with their last word, as the index of unreported frames has it."""

_FIRST = (
    'frame_id, state, captured_us, utc_offset_s, handled_ns, source, "trigger", event, model, label, confidence, '
    "top_k, gain, reason, note, picture, bytes, rank, truth, audit, region, audit_chance, level, event_class"
)
INSERT = f"INSERT INTO frames ({_FIRST}) VALUES ({', '.join('?' * 24)}) ON CONFLICT (frame_id) DO NOTHING"
"""`first_row`: the device's final word on a frame."""
WAIT = (
    f"{INSERT.removesuffix('NOTHING')}UPDATE SET state = excluded.state, handled_ns = excluded.handled_ns, "
    "reason = excluded.reason, picture = excluded.picture, bytes = excluded.bytes, rank = excluded.rank, reported = 0, "
    "gain = excluded.gain, audit = max(audit, excluded.audit), "
    "audit_chance = coalesce(excluded.audit_chance, audit_chance), "
    "event_class = coalesce(excluded.event_class, event_class) "
    f"WHERE state <> '{State.ANSWERED}'"
)
"""`first_row`: the device's word on a frame that waits; one that was lost may be put again, and one whose event's
answer counted travels for its event."""
SENT = f"UPDATE frames SET state = '{State.SENT}' WHERE frame_id = ? AND state = '{State.WAITING}'"
ANSWER = (
    f"UPDATE frames SET state = '{State.ANSWERED}', cloud_label = ?, cloud_confidence = ?, cloud_top_k = ?, "
    f"cloud_model = ?, cloud_level = ?, cloud_exit = ?, picture = ?, rank = ? WHERE frame_id = ? AND {OPEN}"
)
FINISH = (
    f"UPDATE frames SET state = ?, reason = ?, note = iif(? = '', note, ?), picture = ?, rank = ? "
    f"WHERE frame_id = ? AND {OPEN}"
)
STANDS = "UPDATE frames SET audit = ?, audit_chance = ?, event_class = ? WHERE frame_id = ?"
"""A frame that does not travel stands for its event, which is decided."""
LABEL = "UPDATE frames SET truth = ? WHERE frame_id = ?"
RERANK = f"UPDATE frames SET state = '{State.SENT}', rank = ? WHERE frame_id = ? AND {OPEN}"
TRIED = "INSERT INTO tries VALUES (?, ?) ON CONFLICT (frame_id) DO UPDATE SET spent = excluded.spent"
UNTRIED = "DELETE FROM tries WHERE frame_id = ?"
NO_MORE_TRIES = f"DELETE FROM tries WHERE frame_id NOT IN (SELECT frame_id FROM frames WHERE {OPEN})"
COLUMNS = f"{_FIRST}, cloud_model, cloud_label, cloud_confidence, cloud_top_k, reported, cloud_level, cloud_exit"
LAST_LABEL = f"iif(state = '{State.ANSWERED}', cloud_label, label)"

TopK = tuple[tuple[str, float], ...]
"""The likeliest labels with their probabilities, the likeliest first."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Change:
    """One statement on the table.

    Attributes:
        sql: the statement.
        values: its values.
        then: called once it is on the disk, with whether it changed a row; holding no lock.
    """

    sql: str
    values: tuple[Any, ...]
    then: Callable[[bool], None] | None = None


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """The device's word on a frame, and what led to it.

    Attributes:
        answer: the device's.
        model: version of the little model's bundle.
        top_k: the little model's likeliest labels.
        gain: expected rise in correctness by the big model, where the frame was unsure.
        trigger: why the frame was looked at, such as the motion gate's reason.
        event: id of the event that the frame belongs to.
        truth: the true label, where it is known.
        audit: the frame is confident and sent all the same, to measure accuracy.
        note: a remark.
        region: the part of the frame that the little model looked at, in the full frame's pixels; None: the whole.
        audit_chance: probability with which this frame, a confident one, was to be sent for an audit; None: none was.
        frame_size: width and height of the full frame, pixels; it is stored with a region, and not without.
        event_class: of a frame that stands for an event which was answered as a whole, the device's likeliest class of
            that; `audit` and `audit_chance` are then of the event. None: the frame stands for itself.
    """

    answer: Answer
    model: str = ""
    top_k: TopK = ()
    gain: float | None = None
    trigger: str = ""
    event: str = ""
    truth: str | None = None
    audit: bool = False
    note: str = ""
    region: Region | None = None
    audit_chance: float | None = None
    frame_size: tuple[int, int] | None = None
    event_class: str | None = None

    @property
    def likeliest(self) -> str | None:
        """The little model's likeliest class, also where the answer is a group; None where it was not run."""
        return self.top_k[0][0] if self.answer.level and self.top_k else self.answer.label


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """What is known of one frame.

    Attributes:
        answer: the last word so far.
        device: the device's answer.
        cloud: the cloud's answer, None if there is none.
        truth: the true label, where it is known.
        note: a remark, such as the cloud's message when it refused the frame.
        state: what has become of the frame.
        model: version of the little model's bundle.
        top_k: the little model's likeliest labels.
        gain: expected rise in correctness by the big model, where the frame was unsure.
        trigger: why the frame was looked at.
        event: id of the event that the frame belongs to.
        picture: the picture's file below the state folder, where it is kept.
        picture_bytes: of that file; of a frame whose picture is gone, what it was.
        cloud_model: the big model's name.
        cloud_top_k: its likeliest labels.
        audit: a confident frame that was sent all the same.
        reported: the answer has been handed on, by whoever sets this flag.
        region: as in `FrameRecord`.
        audit_chance: as in `FrameRecord`.
        frame_size: as in `FrameRecord`.
        event_class: as in `FrameRecord`.
    """

    answer: Answer
    device: Answer
    cloud: Answer | None
    truth: str | None
    note: str
    state: State = State.FINAL
    model: str = ""
    top_k: TopK = ()
    gain: float | None = None
    trigger: str = ""
    event: str = ""
    picture: str | None = None
    picture_bytes: int = 0
    cloud_model: str = ""
    cloud_top_k: TopK = ()
    audit: bool = False
    reported: bool = False
    region: Region | None = None
    audit_chance: float | None = None
    frame_size: tuple[int, int] | None = None
    event_class: str | None = None

    @property
    def likeliest(self) -> str | None:
        """The little model's likeliest class, also where the answer is a group; None where it was not run."""
        return self.top_k[0][0] if self.device.level and self.top_k else self.device.label


def first_row(
    record: FrameRecord, state: State, handled_ns: int, picture: str | None = None, size: int = 0, rank: float = 0.0
) -> tuple[Any, ...]:
    """The values of `INSERT`."""
    answer = record.answer
    return (
        answer.frame_id,
        state.value,
        microseconds(answer.captured_at),
        offset_s(answer.captured_at),
        handled_ns,
        storable(answer.source),
        storable(record.trigger),
        record.event,
        record.model,
        answer.label,
        float(answer.confidence),
        top_k_text(record.top_k),
        record.gain,
        answer.reason.value,
        storable(record.note),
        picture,
        size,
        rank,
        None if record.truth is None else storable(record.truth),
        int(record.audit),
        region_text(record.region, record.frame_size),
        record.audit_chance,
        answer.level or None,
        record.event_class,
    )


def entry_of(row: tuple[Any, ...]) -> JournalEntry:
    """The entry in a row of `COLUMNS`; of a damaged one, what can be made out, with the reason `DAMAGED`."""
    try:
        return _whole_entry(row)
    except (ValueError, TypeError, OverflowError):
        label = row[9] if isinstance(row[9], str) else None
        said = Answer(str(row[0]), _EPOCH, "", label, 0.0, Origin.DEVICE, True, Reason.DAMAGED)
        return JournalEntry(said, said, None, None, "its row was damaged", State.LOST)


def _whole_entry(row: tuple[Any, ...]) -> JournalEntry:
    frame_id, state, us, offset_s, _, source, trigger, event, model, label, confidence, top_k, gain = row[:13]
    reason, note, picture, size, _, truth, audit, region, audit_chance, level, event_class = row[13:24]
    cloud_model, cloud_label, cloud_confidence, cloud_top_k, reported, cloud_level, cloud_exit = row[24:31]
    captured_at = moment(us, offset_s)
    known, said = (str(frame_id), captured_at, source), State(state)
    final = said not in (State.WAITING, State.SENT)
    cloud = None
    if said is State.ANSWERED:
        level_there, left_at = cloud_level or "", cloud_exit or ""
        cloud = Answer(
            *known, cloud_label, cloud_confidence, Origin.CLOUD, True, Reason.CLOUD, level_there, exit=left_at
        )
    last = final and cloud is None
    device = Answer(*known, label, confidence, Origin.DEVICE, last, Reason(reason), level or "")
    return JournalEntry(
        answer=cloud or device,
        device=device,
        cloud=cloud,
        truth=truth,
        note=note,
        state=said,
        model=model,
        top_k=top_k_in(top_k),
        gain=gain,
        trigger=trigger,
        event=event,
        picture=picture,
        picture_bytes=size,
        cloud_model=cloud_model or "",
        cloud_top_k=top_k_in(cloud_top_k),
        audit=bool(audit),
        reported=bool(reported),
        region=_region(region),
        frame_size=_frame_size(region),
        audit_chance=audit_chance,
        event_class=event_class,
    )


def same_labels(label_set: str) -> tuple[str, list[str]]:
    """Condition and values for the frames of models with these labels; "": all frames."""
    return ("(model = '' OR model LIKE ?)", [f"% {label_set}"]) if label_set else ("1", [])


def microseconds(moment: datetime) -> int:
    """Since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def offset_s(moment: datetime) -> int:
    """Seconds of the zone's offset."""
    return (moment.utcoffset() or timedelta(0)) // timedelta(seconds=1)


def moment(since_1970_us: int, utc_offset_s: int = 0) -> datetime:
    """The time, in the zone of that offset; the first or last of the calendar for one beyond it, as UTC may have it."""
    zone = UTC if utc_offset_s == 0 else timezone(timedelta(seconds=utc_offset_s))
    since = timedelta(microseconds=since_1970_us)
    try:
        return (_EPOCH + since + zone.utcoffset(None)).replace(tzinfo=zone)
    except OverflowError:
        return (datetime.max if since_1970_us > 0 else datetime.min).replace(tzinfo=UTC)


def top_k_text(top_k: TopK) -> str:
    """As it stands in the table: JSON, empty for nothing."""
    return json.dumps([[label, round(chance, 4)] for label, chance in top_k], ensure_ascii=False) if top_k else ""


def top_k_in(text: str | None) -> TopK:
    """As it was before `top_k_text`."""
    return tuple((label, chance) for label, chance in json.loads(text)) if text else ()


def region_text(region: Region | None, frame_size: tuple[int, int] | None = None) -> str | None:
    """As it stands in the table: JSON `[x, y, width, height, score, held]`, then the frame's width and height."""
    if region is None:
        return None
    box = [region.x, region.y, region.width, region.height]
    return json.dumps([*box, round(region.score, 3), int(region.held), *(frame_size or ())])


def _region(text: str | None) -> Region | None:
    if not text:
        return None
    x, y, width, height, score, held = json.loads(text)[:6]
    return Region(int(x), int(y), int(width), int(height), float(score), bool(held))


def _frame_size(text: str | None) -> tuple[int, int] | None:
    size = json.loads(text)[6:8] if text else []
    return (int(size[0]), int(size[1])) if len(size) == 2 else None
