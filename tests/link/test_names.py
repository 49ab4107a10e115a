"""Look-ups of the server's name: bounded in time and bytes, remembered, explained."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_sdk.budget.ledger import Ledger
from edge_sdk.budget.limits import Budget
from edge_sdk.link.names import Address, NameLookup, system_addresses
from edge_sdk.link.wire_account import WireAccount

HERE = [Address(socket.AF_INET, ("192.0.2.7", 5))]


class NameServer:
    """Answers with `answer`, once `free` is set; counts the questions."""

    def __init__(self, answer: list[Address] | Exception) -> None:
        self.answer = answer
        self.free = threading.Event()
        self.free.set()
        self.asked = 0

    def __call__(self, host: str, port: int) -> list[Address]:
        self.asked += 1
        self.free.wait(30)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Watch:
    """A steady clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.db") as one:
        yield one


async def test_an_address_is_remembered_for_five_minutes_and_charged_once(ledger: Ledger) -> None:
    server, watch = NameServer(HERE), Watch()
    names = NameLookup("vm.example", 5, WireAccount(ledger), resolve=server, steady=watch)
    for watch.now_s in (0.0, 100.0, 299.0):
        assert await names.addresses() == HERE
    assert server.asked == 1
    assert ledger.snapshot().bytes_sent == names.query_bytes
    assert 150 < names.query_bytes < 400
    watch.now_s = 301.0
    await names.addresses()
    assert server.asked == 2


async def test_it_is_looked_up_anew_where_nothing_answered_at_the_address(ledger: Ledger) -> None:
    server = NameServer(HERE)
    names = NameLookup("vm.example", 5, WireAccount(ledger), resolve=server)
    await names.addresses()
    names.forget()
    await names.addresses()
    assert server.asked == 2


async def test_a_dead_name_server_holds_nobody_and_gets_one_question_at_a_time(ledger: Ledger) -> None:
    server = NameServer(HERE)
    server.free.clear()
    names = NameLookup("vm.example", 5, WireAccount(ledger), resolve=server, patience_s=0.01)
    for _ in range(3):
        with pytest.raises(TimeoutError, match=r"no name server has told the address of vm.example"):
            await names.addresses()
    while not server.asked:  # noqa: ASYNC110 - on a thread of its own
        await asyncio.sleep(0)
    assert server.asked == 1
    server.free.set()
    while not names._known:  # the answer that came late counts
        try:
            await names.addresses()
        except TimeoutError:
            continue
    assert server.asked == 1


async def test_each_second_of_a_look_up_is_charged_until_its_end_and_not_beyond(ledger: Ledger) -> None:
    server, watch = NameServer(HERE), Watch()
    server.free.clear()
    names = NameLookup("vm.example", 5, WireAccount(ledger), resolve=server, steady=watch, patience_s=0.0)
    with pytest.raises(TimeoutError):
        await names.addresses()
    assert ledger.snapshot().bytes_sent == names.query_bytes
    watch.now_s = 10.0
    server.free.set()
    assert names._running is not None
    names._running.result()
    watch.now_s = 500.0
    assert await names.addresses() == HERE
    assert ledger.snapshot().bytes_sent == 11 * names.query_bytes


async def test_yesterdays_address_serves_while_the_name_server_is_dead(ledger: Ledger) -> None:
    server, watch = NameServer(HERE), Watch()
    names = NameLookup("vm.example", 5, WireAccount(ledger), resolve=server, steady=watch)
    await names.addresses()
    watch.now_s = 90_000.0
    server.answer = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    assert await names.addresses() == HERE
    assert server.asked == 2


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "no name server knows vm.example: check"),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure"), r"cannot be looked up \(Temporary failure\): check"),
        (UnicodeError("label empty or too long"), "no name server knows"),
    ],
)
async def test_a_failure_says_what_to_check(ledger: Ledger, error: Exception, words: str) -> None:
    names = NameLookup("vm.example", 5, WireAccount(ledger), resolve=NameServer(error))
    with pytest.raises(OSError, match=words):
        await names.addresses()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
async def test_addresses_and_localhost_cost_nothing(ledger: Ledger, host: str) -> None:
    addresses = await NameLookup(host, 5, WireAccount(ledger)).addresses()
    assert addresses[0].where[:2] in {("127.0.0.1", 5), ("::1", 5)}
    assert ledger.snapshot().bytes_sent == 0


async def test_a_budget_that_does_not_pay_asks_nobody(tmp_path: Path) -> None:
    server = NameServer(HERE)
    with Ledger(tmp_path / "ledger.db", budgets=[Budget(300, 86_400)]) as ledger:
        with pytest.raises(ConnectionError, match="does not pay for a name look-up"):
            await NameLookup("vm.example", 5, WireAccount(ledger), resolve=server).addresses()
        assert ledger.snapshot().bytes_sent == server.asked == 0


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".example"])
async def test_a_name_that_no_query_can_hold_is_a_failure_like_others(ledger: Ledger, host: str) -> None:
    with pytest.raises(OSError, match=f"no name server knows {host}"):
        await NameLookup(host, 5, WireAccount(ledger)).addresses()


def test_an_address_is_its_own_answer() -> None:
    assert system_addresses("127.0.0.1", 5) == [Address(socket.AF_INET, ("127.0.0.1", 5))]
