"""Reading a server's reports: the file `reports.db` in the folder of `cloud-server --reports`, or a shared database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from edge_sdk.budget.usage import Usage
from edge_sdk.errors import ConfigError
from edge_sdk.fleet.answers import ReportedAnswer, milliseconds, moment_of
from edge_sdk.fleet.audits import ReportedAudits
from edge_sdk.fleet.events import ReportedEvent
from edge_sdk.fleet.health import Health
from edge_sdk.fleet.remote import HeldSettings
from edge_sdk.fleet.report_rows import Rows, rows_of
from edge_sdk.types import Origin, Reason

FILE = "reports.db"
BATTERY = "battery"
"""What an application calls the charge of its battery among its measures."""

_ANSWER = (
    "frame_id, captured_ms, utc_offset, source, model, label, confidence, origin, reason, device_label, "
    "device_confidence, event_id, audit"
)
_AT = (
    "(SELECT number FROM history WHERE history.device = devices.device AND at_ms <= {} "
    "ORDER BY at_ms DESC, number DESC LIMIT 1)"
)
_DEVICES = f"""SELECT known.device, first_ms, last_ms, status, answers,
    latest.frames, latest.exits, before.frames, before.exits
    FROM (
        SELECT devices.*, (SELECT count(*) FROM answers WHERE answers.device = devices.device) AS answers,
            {_AT.format("last_ms")} AS latest, {_AT.format("last_ms - 86400000")} AS before
        FROM devices {{}}
    ) AS known
    LEFT JOIN history AS latest ON latest.number = known.latest
    LEFT JOIN history AS before ON before.number = known.before
    ORDER BY last_ms DESC, known.device"""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What a device's latest report says.

    Attributes:
        sent_ms: the device's clock then, milliseconds since 1970.
        usage: counters since the device's first day, and what is spent of its budgets of bytes.
        waiting: frames that wait for the cloud.
        health: how it is.
        held: which signed settings hold there.
        audits: what its audits have shown so far, by their chances; None: it does not tell (yet).
    """

    sent_ms: int = 0
    usage: Usage = Usage()
    waiting: int = 0
    health: Health = Health()
    held: HeldSettings = HeldSettings()
    audits: ReportedAudits | None = None

    def after(self, before: str | None) -> Status:
        """This status, with what an earlier one, as JSON, said of audits where this one says nothing of them."""
        if self.audits is not None or before is None or (audits := status_of(before).audits) is None:
            return self
        return msgspec.structs.replace(self, audits=audits)


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """A device in the file.

    Attributes:
        device: its name, by token or certificate, or its address.
        first_ms: its first report, milliseconds since 1970, by the server's clock.
        last_ms: its latest.
        status: what that says.
        answers: how many of its answers are kept.
        day: frames and exits between its latest report and the last one that is a day or more older; None: there is
            none.
    """

    device: str
    first_ms: int
    last_ms: int
    status: Status
    answers: int
    day: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of a device's rows in the file.

    Attributes:
        audits: confident frames that were to be sent all the same.
        answered: of these, those that the cloud answered.
        differ: of these, those on which it says another label.
        events: ended events by label; "" stands for no label.
    """

    audits: int = 0
    answered: int = 0
    differ: int = 0
    events: dict[str, int] = field(default_factory=dict)


class ReportFile:
    """Reads the file, or the tables of servers that share a PostgreSQL, also while servers write.

    Args:
        where: the folder of `cloud-server --reports`, or the `postgresql://` address of `cloud-server --database`; or
            what reads there (`rows_of`), which several may share.

    Raises:
        StorageError: there is no such file.
        ConfigError: the package for PostgreSQL is missing.
    """

    def __init__(self, where: Path | str | Rows) -> None:
        self._rows = rows_of(where, FILE) if isinstance(where, Path | str) else where

    def devices(self, limit: int | None = None, *, after: tuple[int, str] | None = None) -> list[DeviceRow]:
        """Devices, the one with the latest report first.

        Args:
            limit: at most so many; None: all.
            after: `last_ms` and name of a device: those that follow it, as the next page of it.

        Raises:
            StorageError: the file cannot be read.
        """
        values: list[object] = [] if after is None else [after[0], *after]
        which = "" if after is None else "WHERE last_ms < ? OR (last_ms = ? AND device > ?) "
        if limit is not None:
            which += "ORDER BY last_ms DESC, device LIMIT ?"
            values.append(limit)
        return [_device(*row) for row in self._rows(_DEVICES.format(which), *values)]

    def device(self, name: str) -> DeviceRow | None:
        """One device; None: it has not reported."""
        return next((_device(*row) for row in self._rows(_DEVICES.format("WHERE device = ?"), name)), None)

    def names(self) -> list[str]:
        """Of all devices, in their order."""
        return [name for (name,) in self._rows("SELECT device FROM devices ORDER BY device")]

    def answers(
        self, device: str = "", *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[ReportedAnswer]:
        """The answers of one device by time of capture, the oldest first.

        Args:
            device: its name; "": the only one that has answers there.
            since: captured at this time or later, with a time zone.
            until: captured before this time, with a time zone.

        Raises:
            StorageError: the file cannot be read.
            ConfigError: there are answers of several devices, and none was named.
        """
        if not device:
            known = [name for (name,) in self._rows("SELECT DISTINCT device FROM answers LIMIT 3")]
            if len(known) > 1:
                raise ConfigError(
                    f"expected the name of one device; {self._rows} has {', '.join(known)} and perhaps more"
                )
            device = known[0] if known else ""
        conditions, values = ["device = ?"], list[object]([device])
        for condition, moment in (("captured_ms >= ?", since), ("captured_ms < ?", until)):
            if moment is not None:
                conditions.append(condition)
                values.append(milliseconds(moment))
        sql = f"SELECT {_ANSWER} FROM answers WHERE {' AND '.join(conditions)} ORDER BY captured_ms, number"
        for row in self._rows(sql, *values):
            yield _answer(row)

    def events(self, device: str) -> list[ReportedEvent]:
        """The events of a device by the time of their begin, the oldest first.

        Raises:
            StorageError: the file cannot be read.
        """
        sql = (
            "SELECT event_id, source, began_ms, ended_ms, utc_offset, frames, label, confidence, origin, reason, audit "
            "FROM events WHERE device = ? ORDER BY began_ms, number"
        )
        return [_event(row) for row in self._rows(sql, device)]

    def tallies(self, since_ms: int) -> dict[str, Tally]:
        """By device: its audits, and its events since then.

        Args:
            since_ms: events that began at this time or later count, milliseconds since 1970.

        Raises:
            StorageError: the file cannot be read.
        """
        cloud = f"origin = '{Origin.CLOUD.value}'"
        differs = f"{cloud} AND (label <> device_label OR (label IS NULL) <> (device_label IS NULL))"
        counts = ", ".join(f"sum(CASE WHEN {what} THEN 1 ELSE 0 END)" for what in (cloud, differs))
        sql = f"SELECT device, count(*), {counts} FROM answers WHERE audit <> 0 GROUP BY device"
        found = {
            device: Tally(int(audits), int(answered), int(differ))
            for device, audits, answered, differ in self._rows(sql)
        }
        sql = "SELECT device, label, count(*) FROM events WHERE began_ms >= ? GROUP BY device, label"
        for device, label, count in self._rows(sql, since_ms):
            found.setdefault(device, Tally()).events[label or ""] = count
        return found


def status_of(text: str) -> Status:
    """The status in a row; of a damaged one, nothing."""
    try:
        return msgspec.json.decode(text, type=Status)
    except msgspec.MsgspecError:
        return Status()


def _device(
    device: str,
    first_ms: int,
    last_ms: int,
    status: str,
    answers: int,
    frames: int | None,
    exits: int | None,
    frames_before: int | None,
    exits_before: int | None,
) -> DeviceRow:
    day = None
    if frames is not None and exits is not None and frames_before is not None and exits_before is not None:
        day = max(0, frames - frames_before), max(0, exits - exits_before)
    return DeviceRow(device, first_ms, last_ms, status_of(status), answers, day)


def _event(row: tuple[Any, ...]) -> ReportedEvent:
    event_id, source, began_ms, ended_ms, offset, frames, label, confidence, origin, reason, audit = row
    times = moment_of(began_ms, offset), moment_of(ended_ms, offset)
    why = Reason(reason) if reason else None
    return ReportedEvent(event_id, source, *times, frames, label, confidence, Origin(origin), why, bool(audit))


def _answer(row: tuple[Any, ...]) -> ReportedAnswer:
    frame_id, captured_ms, offset, source, model, label, confidence, origin, reason, *rest = row
    device_label, device_confidence, event_id, audit = rest
    return ReportedAnswer(
        frame_id,
        moment_of(captured_ms, offset),
        source,
        model,
        label,
        confidence,
        Origin(origin),
        Reason(reason) if reason else None,
        device_label,
        device_confidence,
        event_id,
        bool(audit),
    )
