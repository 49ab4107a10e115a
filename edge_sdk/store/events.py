"""The table of events: its rows as values, the statements that change it, and what a start makes of open events.

An event's row is written when the event begins, and changed when what is said of it changes, when it ends, and when
the frame that stands for it has its last word. Each change is committed together with that of the frame.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

from edge_sdk.durable.database import storable
from edge_sdk.store.schema import (
    OPEN,
    STANDS,
    Change,
    State,
    TopK,
    microseconds,
    moment,
    offset_s,
    top_k_in,
    top_k_text,
)
from edge_sdk.types import Event, Origin, Reason

_log = logging.getLogger(__name__)

COLUMNS = (
    "event_id, state, source, began_us, ended_us, utc_offset_s, frames, ended, label, confidence, top_k, best_frame, "
    "reason, last_label, last_confidence, origin, revision, also, model, handled_ns, level, audit, audit_chance"
)

_PUT = (
    f"INSERT INTO events ({COLUMNS}) VALUES ({', '.join('?' * 23)}) ON CONFLICT (event_id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in COLUMNS.split(", ")[1:])
    + f" WHERE state <> '{State.ANSWERED}'"
)
_ENDED = "UPDATE events SET ended = 1, ended_us = ?, frames = ?, revision = revision + 1 WHERE event_id = ?"
_WAITS = f"state = '{State.WAITING}' AND revision > 0"
_ANSWER = (
    f"UPDATE events SET state = '{State.ANSWERED}', reason = '{Reason.CLOUD}', origin = '{Origin.CLOUD}', "
    "last_label = ?, level = ?, last_confidence = ?, top_k = ?, revision = revision + 1 "
    f"WHERE event_id = ? AND {_WAITS}"
)
_LEFT = (
    "UPDATE events SET state = ?, reason = ?, revision = revision + 1 "
    f"WHERE event_id = (SELECT event FROM frames WHERE frame_id = ?) AND best_frame = ? AND {_WAITS}"
)
_GONE = (
    f"UPDATE events SET state = '{State.LOST}', reason = '{Reason.DAMAGED}', revision = revision + 1 "
    f"WHERE {_WAITS} AND best_frame NOT IN (SELECT frame_id FROM frames WHERE {OPEN})"
)
_DAMAGED = f"UPDATE events SET reason = '{Reason.DAMAGED}' WHERE best_frame = ? AND revision = 0"

_TRAVELS = frozenset({Reason.UNSURE, Reason.OUTSIDE, Reason.AUDIT})
_HOUR_US = 3_600_000_000
_TOP_K = 3


@dataclass(frozen=True, slots=True)
class EventEntry:
    """What is known of one event.

    Attributes:
        event: the last word so far.
        device_label: the device's word.
        device_confidence: probability of that, in [0, 1].
        state: what has become of the event: it waits for its last word, or has it.
        ended: no more frames join it.
        model: version of the little model's bundle.
        audit: it is confident, and its best frame is sent all the same, to measure accuracy.
        audit_chance: probability with which this event, a confident one that is answered as a whole, was to be sent for
            an audit; None: none was.
    """

    event: Event
    device_label: str
    device_confidence: float
    state: State
    ended: bool
    model: str = ""
    audit: bool = False
    audit_chance: float | None = None


def put(
    event: Event,
    state: State,
    handled_ns: int,
    *,
    ended: bool,
    model: str,
    audit: bool = False,
    audit_chance: float | None = None,
    then: Callable[[], None] | None = None,
) -> Change:
    """The device's word on an event, in place of an earlier one.

    Args:
        event: as it stands.
        state: what has become of it.
        handled_ns: now, on the store's clock.
        ended: no more frames join it.
        model: version of the little model's bundle.
        audit: as in `EventEntry`.
        audit_chance: as in `EventEntry`.
        then: called once it is on the disk.
    """
    values = (
        event.event_id,
        state.value,
        storable(event.source),
        microseconds(event.began_at),
        microseconds(event.ended_at),
        offset_s(event.began_at),
        event.frames,
        int(ended),
        event.label,
        event.confidence,
        top_k_text(event.top_k),
        event.best_frame_id,
        event.reason.value,
        event.label,
        event.confidence,
        event.origin.value,
        event.revision,
        top_k_text(event.also),
        model,
        handled_ns,
        event.level,
        int(audit),
        audit_chance,
    )
    return Change(_PUT, values, None if then is None else lambda _: then())


def stands_for(frame_id: str, event_class: str, *, audit: bool = False, audit_chance: float | None = None) -> Change:
    """A frame that does not travel stands for its event: one decision, which audits count.

    Args:
        frame_id: the frame.
        event_class: the device's likeliest class of the event.
        audit: as in `EventEntry`; the frame had no place, so there will be no answer.
        audit_chance: as in `EventEntry`.
    """
    return Change(STANDS, (int(audit), audit_chance, event_class, frame_id))


def ended(event_id: str, frames: int, ended_at: datetime) -> Change:
    """No more frames join an event that was decided before."""
    return Change(_ENDED, (microseconds(ended_at), frames, event_id))


def answered(event_id: str, label: str, level: str, confidence: float, top_k: TopK) -> Change:
    """The cloud has answered the frame that stands for the event.

    Args:
        event_id: the event.
        label: the last word.
        level: of that, as `Event.level`.
        confidence: its probability.
        top_k: the big model's likeliest labels.
    """
    return Change(_ANSWER, (label, level, confidence, top_k_text(top_k), event_id))


def left(frame_id: str, state: State, reason: Reason) -> Change:
    """The frame has left the spool without an answer: the device's word on an event that it stands for is final."""
    return Change(_LEFT, (state.value, reason.value, frame_id, frame_id))


def entry_of(row: tuple[Any, ...]) -> EventEntry | None:
    """The entry in a row of `COLUMNS`; None where the row is damaged."""
    try:
        return _whole_entry(row)
    except (ValueError, TypeError, OverflowError):
        return None


def _whole_entry(row: tuple[Any, ...]) -> EventEntry:
    event_id, state, source, began_us, ended_us, offset_s, frames, has_ended, label, confidence, top_k, best = row[:12]
    reason, last_label, last_confidence, origin, revision, also, model, _, level, audit, audit_chance = row[12:]
    event = Event(
        event_id=str(event_id),
        source=str(source),
        began_at=moment(began_us, offset_s),
        ended_at=moment(ended_us, offset_s),
        frames=int(frames),
        label=last_label,
        confidence=float(last_confidence),
        best_frame_id=best,
        final=revision > 0 and state != State.WAITING,
        origin=Origin(origin),
        reason=Reason(reason),
        revision=int(revision),
        top_k=top_k_in(top_k),
        also=top_k_in(also),
        level=level,
    )
    chance = None if audit_chance is None else float(audit_chance)
    return EventEntry(event, label, float(confidence), State(state), bool(has_ended), model, bool(audit), chance)


def close_open(connection: sqlite3.Connection) -> None:
    """Events that a stop has left open end as they stood; those whose frame waits are decided so."""
    rows = connection.execute(
        "SELECT event_id, began_us, best_frame, reason, revision, audit, audit_chance, top_k FROM events "
        "WHERE ended = 0"
    )
    for event_id, began_us, best_frame, reason, revision, audit, chance, top_k in rows.fetchall():
        frames, last_us = connection.execute(
            "SELECT count(*), max(captured_us) FROM frames WHERE captured_us >= ? AND event = ?",
            (began_us - _HOUR_US, event_id),
        ).fetchone()
        if frames:
            values = (frames, last_us, event_id)
            connection.execute("UPDATE events SET frames = ?, ended_us = ? WHERE event_id = ?", values)
        if revision:
            connection.execute("UPDATE events SET ended = 1 WHERE event_id = ?", (event_id,))
            continue
        state, why = State.FINAL, reason
        waits = f"SELECT reason FROM frames WHERE frame_id = ? AND {OPEN}"
        if travels := connection.execute(waits, (best_frame,)).fetchone():
            state, why = State.WAITING, travels[0]
        elif reason == Reason.DAMAGED:
            state = State.LOST
        elif reason in _TRAVELS:  # its picture goes at once when a later frame makes it sure, or another draw holds
            why = Reason.CONFIDENT
        if not travels and (chance is not None or why != Reason.CONFIDENT):
            stands = (audit, chance, _likeliest(top_k), best_frame, Reason.EVENT)
            connection.execute(f"{STANDS} AND reason = ?", stands)  # not where its frames are answered by themselves
        connection.execute(
            "UPDATE events SET ended = 1, state = ?, reason = ?, revision = 1 WHERE event_id = ?",
            (state.value, str(why), event_id),
        )
    connection.execute(_GONE)


def _likeliest(top_k: str) -> str:
    """The device's likeliest class, of an event that the cloud has not answered."""
    try:
        return str(top_k_in(top_k)[0][0])
    except (ValueError, TypeError, LookupError):  # the row was damaged
        return ""


def damaged(frame_id: str) -> Change:
    """The picture of an open event was damaged."""
    return Change(_DAMAGED, (frame_id,))


def rebuild(connection: sqlite3.Connection) -> None:
    """Make the rows anew from the frames: the mean of the likeliest labels of each."""
    rows = connection.execute(
        f"SELECT event, frame_id, captured_us, utc_offset_s, source, model, top_k, {OPEN}, handled_ns, event_class, "
        "audit, audit_chance FROM frames WHERE event <> '' ORDER BY event, captured_us, number"
    )
    made = [_from_frames(event_id, list(frames)) for event_id, frames in groupby(rows, itemgetter(0))]
    for change in filter(None, made):
        connection.execute(change.sql, change.values)
    if made:
        _log.warning("store: %d events were made anew from their frames", len(made))


def _from_frames(event_id: str, rows: list[tuple[Any, ...]]) -> Change | None:
    try:
        said = [dict(top_k_in(row[6])) for row in rows]
        labels = dict.fromkeys(label for one in said for label in one)
        means = ((label, sum(one.get(label, 0.0) for one in said) / len(said)) for label in labels)
        top_k = tuple(sorted(means, key=lambda one: -one[1])[:_TOP_K])
        label, confidence = top_k[0] if top_k else ("", 0.0)
        waiting = next((row[1] for row in rows if row[7]), None)
        stands = next((row for row in rows if row[9] is not None), (None,) * 12)
        surest = max(range(len(rows)), key=lambda number: said[number].get(label, 0.0))
        first, last = rows[0], rows[-1]
        event = Event(
            event_id=event_id,
            source=first[4],
            began_at=moment(first[2], first[3]),
            ended_at=moment(last[2], last[3]),
            frames=len(rows),
            label=label,
            confidence=confidence,
            best_frame_id=waiting or stands[1] or rows[surest][1],
            reason=Reason.DAMAGED if not waiting else Reason.AUDIT if stands[10] else Reason.UNSURE,
            top_k=top_k,
        )
        state, audit = State.WAITING if waiting else State.FINAL, bool(stands[10])
        return put(event, state, last[8], ended=True, model=last[5], audit=audit, audit_chance=stands[11])
    except (ValueError, TypeError, OverflowError, AttributeError):
        return None
