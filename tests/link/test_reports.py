from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge_sdk.budget.ledger import Ledger
from edge_sdk.budget.limits import Budget
from edge_sdk.config import UplinkSettings
from edge_sdk.link.dispatch import LONGEST_HOLD_S, Dispatch
from edge_sdk.link.meter import END_BYTES
from edge_sdk.link.reports import Reports
from edge_sdk.link.retries import Retries
from edge_sdk.link.transport import CarriesReports
from edge_sdk.link.wakeup import Wakeup
from edge_sdk.link.wire_account import WireAccount
from edge_sdk.store.store import Store
from edge_sdk.testing import FakeTransport


class Source:
    """Has `reports`, due at once unless `wait_s` says otherwise."""

    def __init__(self, *reports: bytes) -> None:
        self.pending = list(reports)
        self.due_s = self.paused_s = 0.0
        self.writes, self.due = True, False
        self.counted: list[bool] = []
        self.begun: list[int] = []
        self.costs: list[int] = []
        self.replies: list[bytes | None] = []
        self.failures: list[str] = []

    def wait_s(self, *, riding: bool) -> float:
        return self.due_s if self.pending else math.inf

    def pause_s(self, n_bytes: int) -> float:
        return self.paused_s

    @property
    def counts_due(self) -> bool:
        return self.due

    def count(self) -> None:
        self.counted.append(threading.current_thread() is threading.main_thread())
        self.due = False

    def next(self, *, riding: bool, overhead: int) -> bytes:
        return self.pending[0] if self.pending else b""

    def begins(self, n_bytes: int) -> bool:
        self.begun.append(n_bytes)
        return self.writes

    def cost(self, n_bytes: int) -> None:
        self.costs.append(n_bytes)

    def opening_bytes(self, from_above: int) -> int:
        return from_above

    def replied(self, content: bytes | None) -> None:
        self.pending.pop(0)
        self.replies.append(content)

    def failed(self, message: str) -> None:
        self.due_s = math.inf
        self.failures.append(message)


class Line:
    """A connection that carries reports: sends 1,000 bytes for each."""

    def __init__(self, ledger: Ledger, error: Exception | None = None) -> None:
        self.ledger, self.error = ledger, error
        self.sent: list[bytes] = []

    async def report(self, content: bytes) -> bytes | None:
        self.ledger.charge(upload=1_000)
        if self.error is not None:
            raise self.error
        self.sent.append(content)
        return content.upper()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.db", budgets=[Budget(100_000, 86_400)]) as ledger:
        yield ledger


@pytest.fixture
def dispatch(tmp_path: Path, ledger: Ledger) -> Iterator[Dispatch]:
    with Store(tmp_path) as store:
        retries = Retries(store.spool, UplinkSettings())
        yield Dispatch(store.spool, ledger, WireAccount(ledger), FakeTransport(("a", "b")), lambda item: True, retries)


async def alone(reports: Reports, line: Line) -> bool:
    @asynccontextmanager
    async def opened() -> AsyncIterator[CarriesReports]:
        line.ledger.charge(upload=3_000)
        yield line

    return await reports.alone(opened)


async def test_a_connection_of_its_own_tells_all_and_its_cost_is_corrected(ledger: Ledger, dispatch: Dispatch) -> None:
    source, line = Source(b"one", b"two"), Line(ledger)
    assert await alone(Reports(source, dispatch, ledger), line)
    assert line.sent == [b"one", b"two"]
    assert source.replies == [b"ONE", b"TWO"]
    assert source.costs == [4_000 + END_BYTES]
    assert source.begun[0] == dispatch.report_opening_bytes + dispatch.report_bytes(3)
    assert source.begun[1] == dispatch.report_bytes(3)


async def test_what_takes_long_is_counted_off_the_loop_before_a_report(ledger: Ledger, dispatch: Dispatch) -> None:
    source, line = Source(b"one", b"two"), Line(ledger)
    source.due = True
    assert await alone(Reports(source, dispatch, ledger), line)
    assert source.counted == [False] and line.sent == [b"one", b"two"]


async def test_a_connection_that_fails_is_the_reports_failure_and_is_told(ledger: Ledger, dispatch: Dispatch) -> None:
    source = Source(b"one")

    @asynccontextmanager
    async def refused() -> AsyncIterator[CarriesReports]:
        ledger.charge(upload=200)
        raise ConnectionError("nobody answers")
        yield Line(ledger)

    with pytest.raises(ConnectionError, match="nobody"):
        await Reports(source, dispatch, ledger).alone(refused)
    assert source.failures == ["nobody answers"]
    assert source.costs == [200 + END_BYTES]


async def test_a_report_that_fails_leaves_the_connection_alone(ledger: Ledger, dispatch: Dispatch) -> None:
    source = Source(b"one")
    assert await alone(Reports(source, dispatch, ledger), Line(ledger, TimeoutError("no reply")))
    assert source.failures == ["no reply"]
    assert source.pending == [b"one"]


async def test_nothing_leaves_without_room_or_a_written_charge(ledger: Ledger, dispatch: Dispatch) -> None:
    line = Line(ledger)
    changes: tuple[dict[str, object], ...] = ({"paused_s": 5.0}, {"writes": False}, {"pending": []})
    for change in changes:
        source = Source(b"one")
        vars(source).update(change)
        assert not await alone(Reports(source, dispatch, ledger), line)
        assert line.sent == source.replies == []
    assert ledger.snapshot().bytes_sent == 0


def test_it_waits_for_what_is_due_for_the_days_bytes_and_for_the_budget(ledger: Ledger, dispatch: Dispatch) -> None:
    source = Source(b"one")
    reports = Reports(source, dispatch, ledger)
    assert reports.wait_s == 0
    source.due_s = 7.0
    assert reports.wait_s == 7
    source.due_s, source.paused_s = 0.0, 9.0
    assert reports.wait_s == 9
    source.paused_s = math.inf
    assert reports.wait_s == LONGEST_HOLD_S
    source.paused_s = 0.0
    ledger.charge(upload=99_500)
    assert reports.wait_s == LONGEST_HOLD_S


async def test_a_report_rides_and_waits_where_the_budget_has_no_room(ledger: Ledger, dispatch: Dispatch) -> None:
    source, line = Source(b"one", b"two"), Line(ledger)
    wakeup = Wakeup(asyncio.get_running_loop())
    riding = asyncio.create_task(Reports(source, dispatch, ledger).ride(line, wakeup))
    while source.pending:  # noqa: ASYNC110 - what is awaited happens in another task, without an event
        await asyncio.sleep(0)
    assert line.sent == [b"one", b"two"]
    ledger.charge(upload=97_500)
    source.pending.append(b"three")
    wakeup.wake()
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(line.sent) == 2
    riding.cancel()


async def test_a_transport_without_reports_carries_none(ledger: Ledger, dispatch: Dispatch) -> None:
    await Reports(Source(b"one"), dispatch, ledger).ride(object(), Wakeup(asyncio.get_running_loop()))
    assert dispatch.report_opening_bytes == FakeTransport.opening_bytes


def test_a_promise_of_a_report_is_its_own(ledger: Ledger) -> None:
    account = WireAccount(ledger)
    account.promise("frame", 500)
    account.promise("report", 300)
    room = account.room_for(0)
    account.drop("report")
    account.drop("report")
    assert room == 0
    account.fulfil("frame")
