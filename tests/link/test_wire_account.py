"""What the link's bytes cost."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from edge_sdk.budget.ledger import Ledger
from edge_sdk.budget.limits import Budget
from edge_sdk.link.meter import interface_bytes
from edge_sdk.link.wire_account import WireAccount

LIMIT = 60_000


def test_promised_bytes_and_the_reserve_take_room(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db", budgets=[Budget(LIMIT, 86_400)]) as ledger:
        account = WireAccount(ledger)
        room = LIMIT - account.reserve
        assert account.room_for(room) == 0
        account.promise("one", 10_000)
        account.promise("two", 20_000)
        assert account.room_for(room - 30_000) == 0
        assert account.room_for(room - 30_000 + 1) > 0
        account.passed(10_000)  # paid for now, so the ledger knows of them
        assert account.room_for(room - 20_000) == 0
        account.fulfil("two")
        assert account.room_for(room) == 0
        account.promise("three", room)
        account.forget_promises()
        assert account.room_for(room) == 0


def test_a_budget_that_comes_while_the_link_runs_counts_at_once(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        account = WireAccount(ledger)
        assert (account.limited, account.reserve) == (False, 0)
        wide = account.window
        ledger.set_budgets([Budget(LIMIT, 86_400)])
        assert account.limited
        assert account.reserve > 0
        assert account.window < wide
        assert not account.spend(LIMIT + 1, beyond=0)
        assert account.spend(1000, beyond=0)
        assert ledger.snapshot().bytes_sent == 1000


def test_an_interface_counts_what_others_send(tmp_path: Path) -> None:
    if interface_bytes("lo") is None:
        pytest.skip("this system has no counters of its interfaces")
    with Ledger(tmp_path / "ledger.db") as ledger:
        account = WireAccount(ledger, interface="lo")
        account.reconcile()
        before = ledger.snapshot().bytes_sent
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            for _ in range(20):
                other.sendto(bytes(1000), ("127.0.0.1", 9))
        account.reconcile()
        assert ledger.snapshot().bytes_sent - before >= 20_000
        note = ledger.recall("interface")
        assert note is not None and note.decode().split()[1].isdigit()
