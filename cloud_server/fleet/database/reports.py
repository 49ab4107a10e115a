"""What devices reported, in a PostgreSQL that servers share: the tables of the reports' file, each answer once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from sqlalchemy import delete, func, select, text
from sqlalchemy import insert as plain_insert
from sqlalchemy.dialects.postgresql import insert

from cloud_server.fleet.database.opening import Unavailable, in_time, transaction
from cloud_server.fleet.database.tables import answers, devices, events, history, words
from cloud_server.fleet.report_store import DAYS, DEVICES, ROWS, SHOWN, Latest, Report
from cloud_server.fleet.turn import turn
from edge_sdk.fleet.report_file import Status
from edge_sdk.fleet.report_tables import ANSWER_COLUMNS, EVENT_COLUMNS, answer_row, event_row

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, Table

T = TypeVar("T")

FRESH_S = 10.0
"""Seconds for which the devices that reported last are given again, but for those that report here."""
_LONGEST_S = 10.0
"""Seconds for which a report waits for the database."""
_THREADS = 4
_TRIM_EVERY_S = 3_600.0


class SharedReports:
    """Keeps reports. Used on one event loop; servers that share the database may take one device's reports in turn.

    Args:
        engine: of the PostgreSQL; this object does not close it.
        rows: answers that are kept, and as many events, and reports in the history; the oldest leave first.
        days: for which they are kept.
        device_limit: devices that are kept; those that reported longest ago leave first.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        rows: int = ROWS,
        days: float = DAYS,
        device_limit: int = DEVICES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._engine, self._clock = engine, clock
        self._rows, self._days, self._device_limit = rows, days, device_limit
        self._trimmed_s = clock() - _TRIM_EVERY_S
        self._guard = threading.Lock()
        self._read_s, self._latest = clock(), self._read()
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="reports")

    def latest(self) -> list[tuple[str, float, Status]]:
        """Devices that reported last, to whichever server; without the database, those known before. Any thread.

        While one thread asks a database that hangs, the others are given what was known before.
        """
        with turn(self._guard) as is_ours:
            now_s = self._clock()
            if is_ours and not 0 <= now_s - self._read_s < FRESH_S:
                self._read_s = now_s
                with suppress(Unavailable):
                    self._latest = self._read()
        return self._latest.all()

    def _read(self) -> Latest:
        wanted = select(devices.c.device, devices.c.last_ms, devices.c.status)
        with transaction(self._engine) as connection:
            known = connection.execute(wanted.order_by(devices.c.last_ms.desc()).limit(SHOWN)).all()
        return Latest((row.device, row.last_ms, row.status) for row in known)

    async def words(self, device: str, word_list: int, first: int, news: Sequence[str]) -> list[str]:
        """A device's list of words, with the new ones put to its end where they belong there.

        Args:
            device: its name.
            word_list: names the list; another one than is known is begun anew.
            first: the place of the new words.
            news: they.

        Raises:
            Unavailable: the database does not answer.
        """
        return await self.apart(partial(self._words, device, word_list, first, news))

    async def keep(self, device: str, report: Report) -> None:
        """Keep a report; it is committed once this has returned.

        Raises:
            Unavailable: the database does not answer; nothing of it is kept.
        """
        status = await self.apart(partial(self._keep, device, report))
        self._latest.put(device, self._clock(), status)

    async def apart(self, work: Callable[[], T]) -> T:
        """Do a little work with files or the database on a thread of the reports'.

        Raises:
            Unavailable: it takes too long.
        """
        return await in_time(asyncio.get_running_loop().run_in_executor(self._pool, work), self._engine, _LONGEST_S)

    async def close(self) -> None:
        """End the threads; those that wait for a database which hangs are left behind."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _words(self, device: str, word_list: int, first: int, news: Sequence[str]) -> list[str]:
        with transaction(self._engine) as connection:
            _take_turn(connection, device)
            wanted = select(words.c.list, words.c.word).where(words.c.device == device).order_by(words.c.place)
            found = connection.execute(wanted).all()
            if found and found[0].list != word_list:
                connection.execute(delete(words).where(words.c.device == device))
                found = []
            known = [row.word for row in found]
            if first > len(known):  # there is a gap: the device is to send from here on
                return known
            fresh = news[len(known) - first :]
            if fresh:
                rows = [
                    {"device": device, "place": len(known) + place, "list": word_list, "word": word}
                    for place, word in enumerate(fresh)
                ]
                connection.execute(plain_insert(words), rows)
        return [*known, *fresh]

    def _keep(self, device: str, report: Report) -> Status:
        now_s = self._clock()
        now_ms = round(now_s * 1000)
        usage, health = report.status.usage, report.status.health
        with transaction(self._engine) as connection:
            _take_turn(connection, device)
            known = select(devices.c.status).where(devices.c.device == device)
            status = report.status.after(connection.execute(known).scalar_one_or_none())
            row = {"device": device, "first_ms": now_ms, "last_ms": now_ms}
            row |= {"status": msgspec.json.encode(status).decode()}
            came = insert(devices).values(row)
            newer = {"last_ms": came.excluded.last_ms, "status": came.excluded.status}
            connection.execute(came.on_conflict_do_update(index_elements=["device"], set_=newer))
            _put(connection, answers, ANSWER_COLUMNS, [answer_row(device, now_ms, one) for one in report.answers])
            _put(connection, events, EVENT_COLUMNS, [event_row(device, now_ms, one) for one in report.events])
            counters = {"frames": usage.frames, "exits": usage.exits, "bytes_sent": usage.bytes_sent}
            measures = {
                "waiting": report.status.waiting,
                "celsius": health.celsius,
                "battery": health.own.get("battery"),
            }
            connection.execute(plain_insert(history).values({"device": device, "at_ms": now_ms} | counters | measures))
            if not 0 <= now_s - self._trimmed_s < _TRIM_EVERY_S:
                self._trimmed_s = now_s
                self._trim(connection, now_ms)
        return status

    def _trim(self, connection: Connection, now_ms: int) -> None:
        """Let go of what is too old or too much, and of devices beyond the number that is kept."""
        since_ms = now_ms - round(self._days * 86_400_000)
        for table, when in ((answers, "received_ms"), (events, "received_ms"), (history, "at_ms")):
            newest = select(func.max(table.c.number)).scalar_subquery()
            connection.execute(delete(table).where(table.c.number <= newest - self._rows))
            connection.execute(delete(table).where(table.c[when] < since_ms))
        kept = select(devices.c.device).where(devices.c.last_ms >= since_ms)
        kept = kept.order_by(devices.c.last_ms.desc()).limit(self._device_limit)
        if connection.execute(delete(devices).where(devices.c.device.not_in(kept))).rowcount:
            connection.execute(delete(words).where(words.c.device.not_in(select(devices.c.device))))


def _take_turn(connection: Connection, device: str) -> None:
    """One report of a device at a time, at whichever server."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:device, 1))"), {"device": device})


def _put(connection: Connection, table: Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Keep rows; one that comes again takes the place of the earlier one."""
    if not rows:
        return
    by_id = {row[1]: dict(zip(columns, row, strict=True)) for row in rows}
    came = insert(table)
    newer = {name: came.excluded[name] for name in columns[3:]}
    connection.execute(came.on_conflict_do_update(index_elements=list(columns[:2]), set_=newer), list(by_id.values()))
