"""Connecting to the server, on real sockets: several addresses, silent ones, and what a failure says."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_sdk.budget.ledger import Ledger
from edge_sdk.budget.limits import Budget
from edge_sdk.link.descriptors import TOO_MANY_FILES
from edge_sdk.link.dialler import Dialler, _explain, _in_turns
from edge_sdk.link.meter import END_BYTES, SYN_BYTES
from edge_sdk.link.names import Address, NameLookup
from edge_sdk.link.wire_account import WireAccount

TRY_BYTES = SYN_BYTES + END_BYTES


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.db") as one:
        yield one


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as one:
        yield one


@pytest.fixture
def silent() -> Iterator[Address]:
    """An address whose SYNs are dropped: the queue of its socket is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        where = full.getsockname()
        taken = []
        for _ in range(3):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(where)
            taken.append(one)
        yield Address(socket.AF_INET, where)
        for one in taken:
            one.close()


def address(server: socket.socket) -> Address:
    return Address(server.family, server.getsockname())


def dialler(ledger: Ledger, *addresses: Address) -> Dialler:
    account = WireAccount(ledger)
    names = NameLookup("vm.example", 5, account, resolve=lambda host, port: list(addresses))
    return Dialler("vm.example", 5, account, timeout_s=30, names=names)


def direct(server: socket.socket, account: WireAccount) -> Dialler:
    host, port = server.getsockname()
    return Dialler(host, port, account, timeout_s=30)


async def test_a_silent_address_does_not_hold_up_the_next(
    ledger: Ledger, server: socket.socket, silent: Address
) -> None:
    way = dialler(ledger, silent, address(server))
    with await way.connect() as remote:
        assert remote.getpeername() == server.getsockname()
    before = ledger.snapshot().bytes_sent
    assert before > 2 * TRY_BYTES  # the look-up comes on top
    with await way.connect() as remote:  # what worked goes first, alone
        assert remote.getpeername() == server.getsockname()
    assert ledger.snapshot().bytes_sent == before + TRY_BYTES


async def test_a_refusal_moves_on_at_once_and_alone_says_so(ledger: Ledger, server: socket.socket) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        closed = address(gone)
    with await dialler(ledger, closed, address(server)).connect() as remote:
        assert remote.getpeername() == server.getsockname()
    with pytest.raises(ConnectionError, match=r"no cloud server answers at vm.example:5: the port is closed"):
        await dialler(ledger, closed).connect()


async def test_a_budget_that_does_not_pay_opens_nothing(tmp_path: Path, server: socket.socket) -> None:
    with Ledger(tmp_path / "ledger.db", budgets=[Budget(500, 86_400)]) as ledger:
        account = WireAccount(ledger)
        with pytest.raises(ConnectionError, match="does not pay for a connection"):
            await direct(server, account).connect()
        assert ledger.snapshot().bytes_sent == 0


async def test_segments_are_as_small_as_asked_both_ways(ledger: Ledger, server: socket.socket) -> None:
    way = direct(server, WireAccount(ledger))
    way.max_segment = 700
    with await way.connect() as remote, server.accept()[0] as peer:
        assert remote.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) <= 700
        assert peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) <= 700


def test_segments_shrink_in_two_steps_and_on_suspicion_in_one(ledger: Ledger) -> None:
    way = Dialler("192.0.2.1", 5, WireAccount(ledger), timeout_s=30)
    way.suspect()
    assert way.max_segment == 1_000
    way.suspect()
    assert way.max_segment == 1_000
    assert [way.shrink(988), way.shrink(488)] == [500, None]
    assert way.max_segment == 500
    fresh = Dialler("192.0.2.1", 5, WireAccount(ledger), timeout_s=30)
    assert [fresh.shrink(1_448), fresh.shrink(1 << 16), fresh.shrink(1 << 16)] == [1_000, 500, None]


def test_silent_connections_end_before_they_are_forgotten(ledger: Ledger) -> None:
    way = Dialler("192.0.2.1", 5, WireAccount(ledger), timeout_s=30)
    for idle_s, longest_s in ((80.0, 60.0), (100.0, 60.0), (40.0, 30.0), (1.0, 5.0)):
        way.end_before(idle_s)
        assert way.longest_idle_s == longest_s


async def test_a_probe_tells_whether_the_server_accepts(ledger: Ledger, server: socket.socket) -> None:
    way = direct(server, WireAccount(ledger))
    assert not await way.probe()  # nothing has worked yet
    (await way.connect()).close()
    assert await way.probe()
    server.close()
    assert not await way.probe()


def test_families_take_turns_and_what_worked_goes_first() -> None:
    six = [Address(socket.AF_INET6, (f"2001:db8::{n}", 5, 0, 0)) for n in range(3)]
    four = [Address(socket.AF_INET, (f"192.0.2.{n}", 5)) for n in range(9)]
    assert _in_turns([*six, *four], None) == [six[0], four[0], six[1], four[1], six[2], four[2]]
    assert _in_turns([*six, *four], four[1])[:2] == [four[1], six[0]]
    assert _in_turns(four[:2], six[0]) == four[:2]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EMFILE, "Too many open files"), TOO_MANY_FILES),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "no way leads there (Network is unreachable)"),
        (TimeoutError(errno.ETIMEDOUT, "Connection timed out"), "nothing answers: check the address"),
        (OSError(errno.EPERM, "Operation not permitted"), "Operation not permitted"),
    ],
)
def test_a_failure_says_what_to_check(error: OSError, words: str) -> None:
    assert words in str(_explain("cloud server", "vm.example:5", error))


def test_ipv6_targets_are_written_with_brackets(ledger: Ledger) -> None:
    assert Dialler("::1", 5, WireAccount(ledger), timeout_s=30).target == "[::1]:5"
