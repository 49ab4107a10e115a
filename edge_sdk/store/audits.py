"""What the table knows of audits: confident frames and events that were sent all the same, drawn with known chances.

One decision is one unit: a frame that was answered by itself, or an event that was answered as a whole. Of an event one
frame's row says all that is counted, that of the frame that stands for it (`FrameRecord.event_class`); its other frames
decided nothing.

Of frames whose rows have left, for number or age, the counts stay: one row for each model and chance. So evidence of
a device's whole life needs no more than this and the journal.

One cause makes many differences: a branch that waves all day is a bird each time. Those of one day (UTC) on which the
device says the same class, and the big model the same other one, are one *cause*; the first of them counts for the
alarm, and where rows have left, the last.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any

import numpy as np

from edge_sdk.store.schema import OPEN, State, moment
from edge_sdk.types import Reason

EVERY = 50
"""Audits after which a further test begins (`edge_sdk.model.evidence`)."""
OTHERS = -1.0
"""In place of a chance: the frames that the little model was unsure of, since the first that could be audited."""

_BIG = "iif(json_valid(cloud_top_k), json_extract(cloud_top_k, '$[0][0]'), cloud_label)"  # without the little's voice
_EVENT = "event_class IS NOT NULL"
_OWN = "iif(json_valid(top_k), json_extract(top_k, '$[0][0]'), label)"  # the class, where `label` is a group
_DEVICE = f"coalesce(event_class, {_OWN})"
_ANSWERED = f"audit AND state = '{State.ANSWERED}'"
_DIFFERS = f"{_ANSWERED} AND {_BIG} IS NOT {_DEVICE}"
_SINCE = "(SELECT min(number) FROM frames WHERE audit_chance IS NOT NULL)"
_COUNTED = f"""label IS NOT NULL
    AND (audit_chance IS NOT NULL
        OR (({_EVENT} OR reason NOT IN ('{Reason.CONFIDENT}', '{Reason.EVENT}')) AND number > {_SINCE}))"""
_COUNTS = f"""model, {_EVENT}, coalesce(audit_chance, {OTHERS}), count(*), total(audit), total({_ANSWERED}),
    total(audit AND {OPEN}), total({_DIFFERS}), total(audit AND truth IS NOT NULL),
    total(audit AND truth IS NOT {_DEVICE} AND truth IS NOT NULL),
    total({_DIFFERS} AND truth IS {_BIG}), total({_DIFFERS} AND truth IS {_DEVICE}),
    total({_DIFFERS} AND truth IS NULL), count(DISTINCT causes.last)"""
_NAMES = "model, events, chance, frames, drawn, answered, waiting, differ, labelled, wrong, lost, won, open, causes"
_ADDED = ", ".join(f"{name} = {name} + excluded.{name}" for name in _NAMES.split(", ")[3:])

_DAY_US = 86_400_000_000
_CAUSES = f"""SELECT max(number) AS last FROM frames
    WHERE captured_us BETWEEN (SELECT min(captured_us) - {_DAY_US} FROM frames WHERE number IN leaving)
        AND (SELECT max(captured_us) + {_DAY_US} FROM frames WHERE number IN leaving)
        AND {_DIFFERS} AND audit_chance > 0
    GROUP BY model, captured_us / {_DAY_US}, {_DEVICE}, {_BIG}"""
_COUNT_LEAVING = f"""WITH leaving (number) AS MATERIALIZED (%s)
    INSERT INTO audit_counts ({_NAMES}) SELECT {_COUNTS}
    FROM frames LEFT JOIN ({_CAUSES}) AS causes ON causes.last = number
    WHERE {_COUNTED} AND number IN leaving GROUP BY 1, 2, 3
    ON CONFLICT (model, events, chance) DO UPDATE SET {_ADDED}"""


@dataclass(frozen=True, slots=True)
class AuditCounts:
    """Frames, or events, that had one chance to be audited.

    Attributes:
        chance: in [0, 1]; 0: they may not leave the device. `OTHERS`: not confident ones.
        frames: how many there were; of events, each counts once.
        drawn: of these, those to be audited.
        answered: of these, those that the big model answered.
        waiting: of those drawn, those that wait for it.
        differ: of those answered, those on which it says another label than the device.
        labelled: of those drawn, those of which a person said what they show.
        wrong: of these, those on which the device is wrong.
        lost: of `differ`, those on which the big model alone is right.
        won: of `differ`, those on which the device alone is right.
        open: of `differ`, those without a person's label.
        events: they are events that were answered as a whole.
        causes: of `differ`, those that count for the alarm, one for each cause; known of rows that have left, else 0.
    """

    chance: float
    frames: int = 0
    drawn: int = 0
    answered: int = 0
    waiting: int = 0
    differ: int = 0
    labelled: int = 0
    wrong: int = 0
    lost: int = 0
    won: int = 0
    open: int = 0
    events: bool = False
    causes: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Difference:
    """An audited frame on which the big model says another label than the device.

    Attributes:
        frame_id: the frame; of an event, the one that stands for it.
        exits: confident frames and events that could have been audited, up to and with this one.
        chance: with which it was drawn.
        captured_at: when it was taken.
        device: the device's class, of an event that of the event.
        big: the big model's.
        truth: a person's, None: nobody has looked yet.
        picture: its file below the state folder, where it is kept.
        event_exits: of `exits`, those of events.
        is_event: it stands for an event.
        repeats: another one of the same cause came before it.
    """

    frame_id: str
    exits: int
    chance: float
    captured_at: datetime
    device: str
    big: str
    truth: str | None
    picture: str | None
    event_exits: int = 0
    is_event: bool = False
    repeats: bool = False


@dataclass(frozen=True, slots=True)
class Audits:
    """All that is known of the audits of one model.

    Attributes:
        counts: by chance, the rising, frames before events; rows that have left included.
        gone: the counts of rows that have left.
        differences: frames in the table on which the two models differ, in the order in which they were handled.
        starts: of every `EVERY`th audit in the table, how many times `EVERY` that is, and the confident frames and
            events that could have been audited up to and with it; then, of these, the events.
    """

    counts: tuple[AuditCounts, ...]
    gone: tuple[AuditCounts, ...]
    differences: tuple[Difference, ...]
    starts: tuple[tuple[int, int, int], ...] = ()

    @property
    def covered(self) -> tuple[AuditCounts, ...]:
        """The confident frames and events that could be audited."""
        return tuple(one for one in self.counts if one.chance > 0)


def count_leaving(connection: sqlite3.Connection, numbers: str, value: int) -> None:
    """Add frames to the counts that stay, before their rows go; within the caller's transaction.

    Args:
        connection: for writing.
        numbers: a query of their numbers, of one value, `?1`.
        value: that value.
    """
    connection.execute(_COUNT_LEAVING.replace("%s", numbers), [value])


def read_audits(connection: sqlite3.Connection, model: str) -> Audits:
    """What an open table knows of the audits of one version of a little model.

    Args:
        connection: for reading.
        model: name, version and label set, as the rows have them.

    Raises:
        sqlite3.Error: the file cannot be read.
    """
    sql = f"SELECT {_NAMES} FROM audit_counts WHERE model = ?"
    gone = tuple(_counts(row) for row in connection.execute(sql, [model]))
    counted = np.fromiter(
        connection.execute(
            f"SELECT number, coalesce(audit_chance, {OTHERS}), {_EVENT} FROM frames WHERE {_COUNTED} AND model = ? "
            "ORDER BY number",
            [model],
        ),
        np.dtype([("number", np.int64), ("chance", np.float64), ("event", np.bool_)]),
    )
    details = (
        f"SELECT number, {_EVENT}, audit_chance, {_ANSWERED}, {OPEN}, {_DIFFERS}, truth, {_DEVICE}, {_BIG}, frame_id, "
        "captured_us, utc_offset_s, picture FROM frames WHERE audit AND audit_chance > 0 AND model = ? "
        "AND label IS NOT NULL ORDER BY number"
    )
    audited = connection.execute(details, [model]).fetchall() if len(counted) else []
    covered = counted[counted["chance"] > 0]
    before, drawn = (sum(getattr(one, name) for one in gone if one.chance > 0) for name in ("frames", "drawn"))
    events_before = sum(one.frames for one in gone if one.chance > 0 and one.events)
    rank = np.searchsorted(covered["number"], [number for number, *_ in audited], side="right")
    ranks = (before + rank).tolist()
    event_ranks = (events_before + np.append(0, covered["event"].cumsum())[rank]).tolist()
    there = Counter(zip(counted["event"].tolist(), counted["chance"].tolist(), strict=True))
    frames = (AuditCounts(chance, number, events=events) for (events, chance), number in there.items())
    places = list(zip(audited, ranks, event_ranks, strict=True))
    causes: dict[tuple[int, str, str], int] = {}
    for number, *_, device, big, _, us, _, _ in (row for row in audited if row[5]):
        causes.setdefault((us // _DAY_US, device, big), number)
    firsts = set(causes.values())
    return Audits(
        _sum((*gone, *frames, *map(_one, audited))),
        gone,
        tuple(_difference(row, exits, events, row[0] not in firsts) for row, exits, events in places if row[5]),
        tuple((number // EVERY, *place) for number, (_, *place) in enumerate(places, drawn + 1) if number % EVERY == 0),
    )


def read_counts(connection: sqlite3.Connection, model: str) -> tuple[AuditCounts, ...]:
    """As `Audits.covered` of `read_audits`, and nothing else of it: one pass over the rows, which stay on the disk.

    Args:
        connection: for reading.
        model: name, version and label set, as the rows have them.

    Raises:
        sqlite3.Error: the file cannot be read.
    """
    gone = connection.execute(f"SELECT {_NAMES} FROM audit_counts WHERE model = ? AND chance > 0", [model])
    found = [_counts(row) for row in gone]
    there = _COUNTS.replace("count(DISTINCT causes.last)", "0")
    sql = f"SELECT {there} FROM frames WHERE audit_chance > 0 AND label IS NOT NULL AND model = ? GROUP BY 1, 2, 3"
    found += [_counts(row) for row in connection.execute(sql, [model])]
    return _sum(found)


def take_over_counts(connection: sqlite3.Connection) -> None:
    """The counts of a table of version 8 or older, which are of frames; within the caller's transaction."""
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'audits'").fetchone():
        names = _NAMES.replace("events, ", "").removesuffix(", causes")
        connection.execute(f"INSERT OR IGNORE INTO audit_counts ({names}, events) SELECT {names}, 0 FROM audits")
        connection.execute("DROP TABLE audits")


def _counts(row: Sequence[Any]) -> AuditCounts:
    _, events, chance, *numbers = row
    names = _NAMES.split(", ")[3:]
    return AuditCounts(float(chance), events=bool(events), **dict(zip(names, map(int, numbers), strict=True)))


def _one(row: Sequence[Any]) -> AuditCounts:
    """What one audited frame adds beside itself."""
    _, event, chance, answered, waits, differs, truth, device, big = row[:9]
    known = truth is not None
    return AuditCounts(
        chance,
        drawn=1,
        answered=int(answered),
        waiting=int(waits),
        differ=int(differs),
        labelled=int(known),
        wrong=int(known and truth != device),
        lost=int(differs and truth == big),
        won=int(differs and truth == device),
        open=int(differs and not known),
        events=bool(event),
    )


def _difference(row: Sequence[Any], exits: int, event_exits: int, repeats: bool) -> Difference:
    _, event, chance, *_, truth, device, big, frame_id, us, offset_s, picture = row
    known = (device, big or "", truth, picture, event_exits, bool(event), repeats)
    return Difference(frame_id, exits, chance, moment(us, offset_s), *known)


def _sum(counts: Iterable[AuditCounts]) -> tuple[AuditCounts, ...]:
    names = [field.name for field in fields(AuditCounts) if field.name not in ("chance", "events")]
    total: dict[tuple[bool, float], AuditCounts] = {}
    for one in counts:
        place = one.events, one.chance
        known = total.get(place, AuditCounts(one.chance))
        added = {name: getattr(known, name) + getattr(one, name) for name in names}
        total[place] = replace(one, **added)
    return tuple(total[place] for place in sorted(total))
