"""What alerts cost of a budget."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from edge_sdk import Budget, Resource
from edge_sdk.alerts.toll import Toll, opening_bytes, payload_bytes
from edge_sdk.budget.ledger import Ledger
from edge_sdk.budget.limits import parse_budget
from edge_sdk.link.meter import END_BYTES


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    budget: Budget = parse_budget("100kB/day", Resource.UPLOAD)
    with Ledger(tmp_path / "ledger.db", budgets=[budget]) as opened:
        yield opened


def spent(ledger: Ledger) -> int:
    return ledger.snapshot().spent(Resource.UPLOAD)


def pair() -> tuple[socket.socket, socket.socket]:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        here = socket.create_connection(server.getsockname())
        return here, server.accept()[0]


def test_the_estimate_is_paid_before_and_the_rest_stays_as_credit(ledger: Ledger) -> None:
    toll = Toll(ledger)
    assert toll.pay(5_000)
    first = spent(ledger)
    assert 5_000 < first < 8_000  # with room for a repeat and the end
    here, there = pair()
    with here, there:
        toll.opened(here)
        here.sendall(bytes(1_000))
        while len(there.recv(1_000, socket.MSG_WAITALL)) < 1_000:
            pass
        toll.settle()
        assert spent(ledger) == first
        assert toll.pay(3_000)  # of the credit
        assert spent(ledger) == first
        assert toll.pay(5_000)
        assert first < spent(ledger) < first + 3_000
        toll.closed()


def test_what_is_sent_beyond_the_estimate_is_charged(ledger: Ledger) -> None:
    toll = Toll(ledger)
    here, there = pair()
    with here, there:
        assert toll.pay(10)
        toll.opened(here)
        here.sendall(bytes(3_000))
        there.recv(3_000, socket.MSG_WAITALL)
        toll.closed()
    assert 3_000 + END_BYTES < spent(ledger) < 5_000


def test_a_connection_that_did_not_come_about_counts_as_paid(ledger: Ledger) -> None:
    toll = Toll(ledger)
    assert toll.pay(1_000)
    once = spent(ledger)
    toll.closed()
    assert toll.pay(1_000)
    assert spent(ledger) == 2 * once


def test_where_the_budget_has_no_room_nothing_may_leave(ledger: Ledger) -> None:
    toll = Toll(ledger)
    assert toll.pay(95_000)
    before = spent(ledger)
    toll.closed()
    assert not toll.pay(5_000)
    assert spent(ledger) == before
    assert toll.pay(100)


def test_without_a_ledger_all_is_free() -> None:
    toll = Toll()
    assert toll.pay(10**12)
    here, there = pair()
    with here, there:
        toll.opened(here)
    toll.settle()
    toll.closed()


def test_estimates_grow_with_what_is_sent() -> None:
    assert opening_bytes(encrypted=True) > opening_bytes(encrypted=False) > 0
    assert payload_bytes(10_000) > 10_000 + 8 * 60
