"""Reports on the link: when one leaves, on a connection of frames or on one of its own, and who pays for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from edge_sdk.budget.ledger import Ledger
from edge_sdk.errors import ConfigError
from edge_sdk.link.dispatch import LONGEST_HOLD_S, Dispatch
from edge_sdk.link.meter import END_BYTES
from edge_sdk.link.transport import CarriesReports
from edge_sdk.link.wakeup import Wakeup


class ReportSource(Protocol):
    """Has what is to be reported, and knows when. Used on the uplink's thread."""

    def wait_s(self, *, riding: bool) -> float:
        """Seconds until a report is due, on an open connection or not; 0: now."""

    def pause_s(self, n_bytes: int) -> float:
        """Seconds until reports may cost `n_bytes` more; 0: now, infinity: never."""

    @property
    def counts_due(self) -> bool:
        """Whether `count` is to be called before the next report is made."""

    def count(self) -> None:
        """Count what takes long, for the next report; on any thread."""

    def next(self, *, riding: bool, overhead: int) -> bytes:
        """The next report; empty: there is nothing to tell.

        Args:
            riding: a connection is open.
            overhead: bytes that sending it costs beyond itself.
        """

    def begins(self, n_bytes: int) -> bool:
        """Charge what a report will cost, before it leaves; False: it cannot be charged."""

    def cost(self, n_bytes: int) -> None:
        """What the report, on a connection of its own, has cost in truth."""

    def opening_bytes(self, from_above: int) -> int:
        """What a connection of its own costs, beside the report: as earlier ones did, or an estimate from above."""

    def replied(self, content: bytes | None) -> None:
        """Take the server's reply; None: it takes no reports."""

    def failed(self, message: str) -> None:
        """No reply came."""


class Reports:
    """Sends reports, one at a time, each paid for before it leaves. For one thread.

    Args:
        source: has them.
        dispatch: knows the budgets.
        ledger: tells what was spent.
    """

    def __init__(self, source: ReportSource, dispatch: Dispatch, ledger: Ledger) -> None:
        self._source, self._dispatch, self._ledger = source, dispatch, ledger

    @property
    def wait_s(self) -> float:
        """Seconds until a connection is to be opened for a report, 60 at most: then ask again. 0: now."""
        wait_s = self._source.wait_s(riding=False)
        if wait_s <= 0:
            n_bytes = self._opening_bytes + self._dispatch.report_bytes(0)
            wait_s = self._source.pause_s(n_bytes)
            if wait_s <= 0 and (hold := self._dispatch.hold_report(0, opening=True)) is not None:
                wait_s = hold.wait_s
        return min(wait_s, LONGEST_HOLD_S)

    @property
    def pays_twice(self) -> bool:
        """Whether the budgets have room for two connections for reports, one after the other."""
        n_bytes = 2 * self._opening_bytes + self._dispatch.report_bytes(0)
        return self._source.pause_s(n_bytes) <= 0 and self._dispatch.hold_report(n_bytes, opening=True) is None

    async def ride(self, connection: object, wakeup: Wakeup) -> None:
        """Send what is due while a connection of frames is open, until cancelled; nothing where it carries none."""
        if not isinstance(connection, CarriesReports):
            return
        while True:
            wait_s = self._source.wait_s(riding=True)
            if wait_s <= 0:
                wait_s = await self._send(connection)
            if wait_s > 0:
                await wakeup.wait(min(wait_s, LONGEST_HOLD_S))

    async def alone(self, open_connection: Callable[[], AbstractAsyncContextManager[CarriesReports]]) -> bool:
        """Open a connection, tell what there is to tell as far as the budgets allow, and close it.

        Returns:
            False: nothing was tried, since there is nothing to tell or no room for it.

        Raises:
            ConnectionError, TimeoutError, ConfigError: as `Transport.connect`; the report is tried again later.
        """
        source, dispatch = self._source, self._dispatch
        opening_bytes = self._opening_bytes
        await self._count()
        content = source.next(riding=False, overhead=opening_bytes + dispatch.report_bytes(0))
        estimate = opening_bytes + dispatch.report_bytes(len(content))
        if not content or source.pause_s(estimate) > 0 or not source.begins(estimate):
            return False
        before = self._spent
        try:
            async with open_connection() as connection:
                await self._exchange(connection, content)
                source.cost(self._spent - before + END_BYTES)
                while source.wait_s(riding=True) <= 0 and await self._send(connection) <= 0:
                    pass
        except (OSError, ConfigError) as error:  # a TimeoutError is an OSError
            source.failed(str(error) or type(error).__name__)
            source.cost(self._spent - before + END_BYTES)
            raise
        return True

    async def _send(self, connection: CarriesReports) -> float:
        """Send a report on an open connection; seconds to wait before the next is looked for, 0: none."""
        dispatch, source = self._dispatch, self._source
        await self._count()
        content = source.next(riding=True, overhead=dispatch.report_bytes(0))
        if not content:
            return source.wait_s(riding=True) or LONGEST_HOLD_S
        estimate = dispatch.report_bytes(len(content))
        if (pause_s := source.pause_s(estimate)) > 0:
            return pause_s
        if (hold := dispatch.hold_report(len(content))) is not None:
            return hold.wait_s
        if not source.begins(estimate):
            return LONGEST_HOLD_S
        await self._exchange(connection, content)
        return 0.0

    async def _count(self) -> None:
        if self._source.counts_due:
            await asyncio.to_thread(self._source.count)

    async def _exchange(self, connection: CarriesReports, content: bytes) -> None:
        """Send a report that is paid for, and take the reply; a failure is the report's alone."""
        self._dispatch.promise_report(len(content))
        try:
            self._source.replied(await connection.report(content))
        except OSError as error:
            self._source.failed(str(error) or type(error).__name__)
        finally:
            self._dispatch.report_ended()

    @property
    def _opening_bytes(self) -> int:
        return self._source.opening_bytes(self._dispatch.report_opening_bytes)

    @property
    def _spent(self) -> int:
        return self._ledger.snapshot().bytes_sent
