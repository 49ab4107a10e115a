"""Alerts that wait for their channels, on the disk: they survive a kill, and each is tried until it is delivered.

Bounded in number and age. How often each rule has spoken lately is kept too, so that a program that restarts again and
again sends no more alerts than its rules allow.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from edge_sdk.alerts.alert import Alert
from edge_sdk.durable.clock import Clock, off_s
from edge_sdk.durable.database import Database, is_damage
from edge_sdk.durable.forks import OwnLock
from edge_sdk.errors import StorageError

_log = logging.getLogger(__name__)

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS waiting (number INTEGER PRIMARY KEY AUTOINCREMENT, channel TEXT NOT NULL, "
    "alert BLOB NOT NULL, wall_s REAL NOT NULL, tries INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS spoken (rule TEXT NOT NULL, wall_s REAL NOT NULL)",
)
_NEXT = "SELECT number, alert, wall_s, tries FROM waiting WHERE channel = ? ORDER BY tries, number LIMIT 1"
_COUNT = "SELECT count(*) FROM waiting WHERE channel = ? OR ?"
_SPOKEN_ROWS = 10_000

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Waiting:
    """An alert that waits for one channel.

    Attributes:
        number: its row.
        alert: what is to be delivered.
        tries: how often it was tried in vain.
    """

    number: int
    alert: Alert
    tries: int


class Outbox:
    """The file of waiting alerts. Threads may share it; two processes may not.

    Args:
        path: the SQLite file, created if missing, replaced if damaged.
        most: most alerts that wait for one channel; the oldest go first.
        longest_s: seconds for which one waits.
        clock: tells the age of what waits.

    Attributes:
        dropped: number of alerts that were given up since the start, for number, age or damage.

    Raises:
        StorageError: the file cannot be opened, or another process holds it.
    """

    def __init__(self, path: Path, *, most: int = 1_000, longest_s: float = 7 * 86_400.0, clock: Clock) -> None:
        self._most, self._longest_s, self._clock = most, longest_s, clock
        self._lock = OwnLock(threading.Lock(), "the alerts' outbox")
        self._closed = False
        self.dropped = 0
        self._database = Database(path, schema=_SCHEMA, version=1, exclusive=True)

    def put(self, alert: Alert, channels: Iterable[str]) -> None:
        """Keep an alert for each of these channels; it is on the disk when this returns.

        Raises:
            StorageError: it cannot be written, since the disk is full.
        """
        row, now_s = alert.to_json(), self._clock.wall_s()

        def write(connection: sqlite3.Connection) -> int:
            gone = 0
            for channel in channels:
                connection.execute(
                    "INSERT INTO waiting (channel, alert, wall_s, tries) VALUES (?, ?, ?, 0)", [channel, row, now_s]
                )
                gone += connection.execute(
                    "DELETE FROM waiting WHERE channel = ? AND number NOT IN "
                    "(SELECT number FROM waiting WHERE channel = ? ORDER BY number DESC LIMIT ?)",
                    [channel, channel, self._most],
                ).rowcount
            connection.execute("INSERT INTO spoken VALUES (?, ?)", [alert.rule, now_s])
            connection.execute(
                "DELETE FROM spoken WHERE rowid NOT IN (SELECT rowid FROM spoken ORDER BY rowid DESC LIMIT ?)",
                [_SPOKEN_ROWS],
            )
            return gone

        with self._lock:
            self._drop(self._write(write), f"over {self._most} wait")

    def next(self, channel: str) -> Waiting | None:
        """The alert that is to be tried next: of those that were tried least often, the oldest."""
        with self._lock:
            while rows := self._read(_NEXT, channel):
                number, row, wall_s, tries = rows[0]
                try:
                    waiting, age_s = Waiting(number, Alert.from_json(row), tries), off_s(wall_s, self._clock.wall_s())
                except (ValueError, TypeError):
                    why = "they were damaged on the disk"
                else:
                    if age_s <= self._longest_s:
                        return waiting
                    why = f"they waited longer than {self._longest_s / 86_400:g} days"
                self._remove(number)
                self._drop(1, why)
        return None

    def done(self, number: int) -> None:
        """An alert needs no further try."""
        with self._lock:
            self._remove(number)

    def failed(self, number: int) -> None:
        """A try was in vain."""
        with self._lock:
            self._write(lambda db: db.execute("UPDATE waiting SET tries = tries + 1 WHERE number = ?", [number]))

    def count(self, channel: str | None = None) -> int:
        """How many wait, for one channel or for all."""
        with self._lock:
            ((count,),) = self._read(_COUNT, channel, channel is None)
            return int(count)

    def spoken(self) -> dict[str, list[float]]:
        """For each rule, how many seconds ago its latest alerts were made, as far as the wall clock knows."""
        now_s = self._clock.wall_s()
        found: dict[str, list[float]] = {}
        with self._lock:
            for rule, wall_s in self._read("SELECT rule, wall_s FROM spoken"):
                if isinstance(wall_s, float):  # else damaged
                    found.setdefault(rule, []).append(off_s(wall_s, now_s))
        return found

    def close(self) -> None:
        """Release the file. A second call does nothing."""
        with self._lock:
            self._closed = True
            self._database.close()

    def _check_open(self) -> None:
        if self._closed:
            raise StorageError("the alerts' outbox is closed")

    def _read(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """All rows of a query; of a fresh file where this one proves damaged."""
        self._check_open()
        try:
            return self._database.connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            if not is_damage(error):
                raise StorageError(f"the alerts that wait cannot be read: {error}") from error
            self._database.replace(error)
        return self._database.connection.execute(query, values).fetchall()

    def _remove(self, number: int) -> None:
        self._write(lambda db: db.execute("DELETE FROM waiting WHERE number = ?", [number]))

    def _write(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run a transaction, and once more where the file proved damaged and was replaced."""
        self._check_open()
        for last in (False, True):
            try:
                with self._database.transaction() as connection:
                    return work(connection)
            except sqlite3.Error as error:
                if last or self._database.fault is not None:
                    raise StorageError(f"the alerts cannot be kept: {error}") from error
        raise AssertionError

    def _drop(self, count: int, why: str) -> None:
        if count > 0:
            if not self.dropped:
                _log.warning("alerts are given up: %s (said of the first time only)", why)
            self.dropped += count
