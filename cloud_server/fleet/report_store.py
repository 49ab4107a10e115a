"""What devices reported, in one SQLite file (`edge_sdk.fleet.report_file`): each answer once, bounded in rows and age.

Its disk work runs on a thread of its own. A commit reaches the operating system, not the disk (synchronous=NORMAL): it
outlives this process however it is killed. The reply is sent after it, so what a device marks as reported is here.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from edge_sdk.durable.database import Database
from edge_sdk.errors import ConfigError, StorageError
from edge_sdk.fleet.answers import ReportedAnswer
from edge_sdk.fleet.events import ReportedEvent
from edge_sdk.fleet.report_file import BATTERY, FILE, Status, status_of
from edge_sdk.fleet.report_tables import (
    ANSWERS_ADDED,
    EVENTS_ADDED,
    HISTORY_ADDED,
    PUT_ANSWER,
    PUT_EVENT,
    SCHEMA,
    VERSION,
    answer_row,
    event_row,
)

T = TypeVar("T")

ROWS = 1_000_000
DAYS = 400
DEVICES = 10_000
SHOWN = 500
"""Devices whose latest report is in memory, for the metrics."""
_TRIM_EVERY_S = 3_600.0


@dataclass(frozen=True, slots=True)
class Report:
    """A report, checked.

    Attributes:
        status: what the device says of itself.
        answers: rows.
        events: rows.
    """

    status: Status
    answers: Sequence[ReportedAnswer]
    events: Sequence[ReportedEvent] = ()


class Latest:
    """The latest reports of the devices that reported last, at most `SHOWN`; changed on one thread, read from any.

    Args:
        rows: device, when (milliseconds since 1970) and status as JSON, the latest first.
    """

    def __init__(self, rows: Iterable[tuple[str, int, str]]) -> None:
        self._found: OrderedDict[str, tuple[float, Status]] = OrderedDict()
        for device, last_ms, status in rows:
            self._found[device] = last_ms / 1000, status_of(status)
            self._found.move_to_end(device, last=False)

    def put(self, device: str, at_s: float, status: Status) -> None:
        """A device has reported."""
        self._found[device] = at_s, status
        self._found.move_to_end(device)
        while len(self._found) > SHOWN:
            self._found.popitem(last=False)

    def all(self) -> list[tuple[str, float, Status]]:
        """Name, when (seconds since 1970), what."""
        return [(device, at_s, status) for device, (at_s, status) in self._found.copy().items()]


class ReportStore:
    """Keeps reports. Used on one event loop.

    Args:
        folder: of the file; made if missing.
        rows: answers that are kept, and as many events, and reports in the history; the oldest leave first.
        days: for which they are kept.
        devices: that are kept; those that reported longest ago leave first.
        clock: seconds since 1970.

    Raises:
        ConfigError: the folder cannot be used, or another server holds the file.
    """

    def __init__(
        self,
        folder: Path,
        *,
        rows: int = ROWS,
        days: float = DAYS,
        devices: int = DEVICES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._rows, self._days, self._devices, self._clock = rows, days, devices, clock
        self._trimmed_s = 0.0
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK | os.X_OK):
                raise StorageError(f"the folder {folder} cannot be written by this user (uid {os.geteuid()})")
            self._database = Database(
                folder / FILE,
                schema=SCHEMA,
                version=VERSION,
                added={"answers": ANSWERS_ADDED, "events": EVENTS_ADDED, "history": HISTORY_ADDED},
                synchronous="NORMAL",
            )
        except (OSError, StorageError) as error:
            raise ConfigError(f"{error}: name another folder with --reports") from error
        sql = "SELECT device, last_ms, status FROM devices ORDER BY last_ms DESC LIMIT ?"
        self._latest = Latest(self._database.connection.execute(sql, [SHOWN]).fetchall())
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="reports")

    def latest(self) -> list[tuple[str, float, Status]]:
        """Devices that reported last, at most `SHOWN`: name, when (seconds since 1970), what. From any thread."""
        return self._latest.all()

    async def words(self, device: str, word_list: int, first: int, news: Sequence[str]) -> list[str]:
        """A device's list of words, with the new ones put to its end where they belong there.

        Args:
            device: its name.
            word_list: names the list; another one than is known is begun anew.
            first: the place of the new words.
            news: they.
        """
        return await self._run(lambda: self._words(device, word_list, first, news))

    async def keep(self, device: str, report: Report) -> None:
        """Keep a report; it outlives the process once this has returned.

        Raises:
            StorageError: it cannot be written.
        """
        status = await self._run(lambda: self._keep(device, report))
        self._latest.put(device, self._clock(), status)

    async def close(self) -> None:
        """Release the file."""
        await self._run(self._database.close)
        self._thread.shutdown()

    async def apart(self, work: Callable[[], T]) -> T:
        """Do a little work with files on the store's thread."""
        return await self._run(work)

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except sqlite3.Error as error:
            raise StorageError(f"a report cannot be kept: {error}") from error

    def _words(self, device: str, word_list: int, first: int, news: Sequence[str]) -> list[str]:
        with self._database.transaction() as connection:
            sql = "SELECT list, word FROM words WHERE device = ? ORDER BY place"
            found = connection.execute(sql, [device]).fetchall()
            if found and found[0][0] != word_list:
                connection.execute("DELETE FROM words WHERE device = ?", [device])
                found = []
            known = [word for _, word in found]
            if first > len(known):  # there is a gap: the device is to send from here on
                return known
            fresh = news[len(known) - first :]
            rows = [(device, len(known) + place, word_list, word) for place, word in enumerate(fresh)]
            connection.executemany("INSERT INTO words (device, place, list, word) VALUES (?, ?, ?, ?)", rows)
        return [*known, *fresh]

    def _keep(self, device: str, report: Report) -> Status:
        now_s = self._clock()
        now_ms = round(now_s * 1000)
        usage, health = report.status.usage, report.status.health
        with self._database.transaction() as connection:
            before = connection.execute("SELECT status FROM devices WHERE device = ?", [device]).fetchone()
            status = report.status.after(before and before[0])
            connection.execute(
                "INSERT INTO devices VALUES (?, ?, ?, ?) ON CONFLICT (device) DO UPDATE SET "
                "last_ms = excluded.last_ms, status = excluded.status",
                [device, now_ms, now_ms, msgspec.json.encode(status).decode()],
            )
            connection.executemany(PUT_ANSWER, [answer_row(device, now_ms, one) for one in report.answers])
            connection.executemany(PUT_EVENT, [event_row(device, now_ms, one) for one in report.events])
            connection.execute(
                "INSERT INTO history (device, at_ms, frames, exits, bytes_sent, waiting, celsius, battery) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    *(device, now_ms, usage.frames, usage.exits, usage.bytes_sent),
                    *(report.status.waiting, health.celsius, health.own.get(BATTERY)),
                ],
            )
            for table in ("answers", "events", "history"):
                newest = f"(SELECT max(number) FROM {table})"
                connection.execute(f"DELETE FROM {table} WHERE number <= {newest} - ?", [self._rows])
            if not 0 <= now_s - self._trimmed_s < _TRIM_EVERY_S:
                self._trimmed_s = now_s
                self._trim(connection, now_ms)
        return status

    def _trim(self, connection: sqlite3.Connection, now_ms: int) -> None:
        """Let go of what is too old, and of devices beyond the number that is kept."""
        since_ms = now_ms - round(self._days * 86_400_000)
        for table in ("answers", "events"):
            connection.execute(f"DELETE FROM {table} WHERE received_ms < ?", [since_ms])
        connection.execute("DELETE FROM history WHERE at_ms < ?", [since_ms])
        kept = "SELECT device FROM devices WHERE last_ms >= ? ORDER BY last_ms DESC LIMIT ?"
        gone = connection.execute(f"DELETE FROM devices WHERE device NOT IN ({kept})", [since_ms, self._devices])
        if gone.rowcount:
            connection.execute("DELETE FROM words WHERE device NOT IN (SELECT device FROM devices)")
