"""Several servers on real sockets: which one is used, what the link says, and what it costs."""

from __future__ import annotations

import itertools
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from link_parts import FAST, Device, item, tls

from edge_sdk.budget.ledger import Ledger
from edge_sdk.budget.limits import Budget, Resource
from edge_sdk.config import UplinkSettings
from edge_sdk.errors import ConfigError
from edge_sdk.link.routes import Routes
from edge_sdk.link.transport import Reply
from edge_sdk.link.wire_account import WireAccount
from edge_sdk.security.certificates import Authority
from edge_sdk.security.credentials import Security
from edge_sdk.security.tokens import new_token
from edge_sdk.store.frames import SpoolItem
from edge_sdk.testing.server import ScriptedServer, answer, failure
from edge_sdk.testing.transport import FakeTransport
from edge_sdk.types import LinkState
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire.cost import CONNECTION_BYTES, frame_bytes

SOON = replace(FAST, return_s=1e6)
AT_ONCE = UplinkSettings(connect_timeout_s=30, reply_timeout_s=60, backoff_s=0.01, max_backoff_s=0.01, return_s=0.01)


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Callable[..., Device]]:
    devices: list[Device] = []
    number = itertools.count()

    def make(*targets: str, **options: object) -> Device:
        folder = tmp_path / f"device-{next(number)}"
        folder.mkdir()
        devices.append(Device(folder, targets, **options))
        return devices[-1]

    yield make
    for made in devices:
        made.close()


def free_port() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{one.getsockname()[1]}"


def put(edge: Device, count: int = 3, size: int = 2000) -> list[str]:
    items = [item(size=size) for _ in range(count)]
    for one in items:
        edge.spool.put(one)
    return [one.frame_id for one in items]


def test_the_first_server_is_used_while_it_works(device: Callable[..., Device]) -> None:
    with ScriptedServer() as first, ScriptedServer() as second:
        edge = device(first.target, second.target)
        ids = put(edge)
        edge.uplink.start()
        edge.until_empty()
        assert sorted(first.ids) == sorted(ids)
        assert not second.describes
        assert (edge.uplink.state, edge.uplink.message) == (LinkState.ONLINE, "")


def test_a_server_that_is_down_is_passed_over_and_said(device: Callable[..., Device]) -> None:
    with ScriptedServer() as second:
        edge = device(gone := free_port(), second.target, settings=SOON)
        ids = put(edge)
        edge.uplink.start()
        edge.until_empty()
        assert sorted(second.ids) == sorted(ids)
        assert edge.uplink.state is LinkState.ONLINE
        assert edge.uplink.target == second.target
        assert edge.uplink.message.startswith(f"{second.target} is used: ")
        assert gone in edge.uplink.message


@pytest.mark.parametrize("backlog", [0, 8])
def test_a_black_hole_is_left_in_time(device: Callable[..., Device], backlog: int) -> None:
    """It takes connections, or not even these, and never says a word."""
    hole = socket.socket()
    hole.bind(("127.0.0.1", 0))
    hole.listen(backlog)
    fillers = []
    if not backlog:  # a full queue drops what comes, as a dead host does
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(hole.getsockname())
            fillers.append(filler)
    try:
        with ScriptedServer() as second:
            settings = replace(SOON, connect_timeout_s=1)
            edge = device(f"127.0.0.1:{hole.getsockname()[1]}", second.target, settings=settings)
            ids = put(edge)
            edge.uplink.start()
            edge.until_empty()
            assert sorted(second.ids) == sorted(ids)
            assert edge.uplink.state is LinkState.ONLINE
    finally:
        for one in (hole, *fillers):
            one.close()


def test_frames_without_a_reply_go_to_the_next_server_and_count_once(device: Callable[..., Device]) -> None:
    with ScriptedServer(lambda *_: None) as silent, ScriptedServer() as second:
        edge = device(silent.target, second.target, settings=replace(SOON, reply_timeout_s=1))
        ids = put(edge, 5)
        edge.uplink.start()
        edge.until_empty()
        assert silent.ids
        assert sorted(set(second.ids)) == sorted(ids)
        assert sorted(edge.handler.replies) == sorted(ids)
        assert not edge.handler.given_up


def test_a_draining_server_is_left_at_once(device: Callable[..., Device]) -> None:
    def drains(request: wire.ClassifyRequest, _: object) -> wire.ClassifyReply:
        return failure(request, wire.Failure.DRAINING, "going down")

    with ScriptedServer(drains) as first, ScriptedServer() as second:
        edge = device(first.target, second.target, settings=SOON)
        ids = put(edge, 4)
        edge.uplink.start()
        edge.until_empty()
        assert first.streams == 1
        assert sorted(second.ids) == sorted(ids)


def test_a_lone_draining_server_is_asked_again_on_the_same_stream(device: Callable[..., Device]) -> None:
    words = iter([wire.Failure.DRAINING] * 2)

    def drains(request: wire.ClassifyRequest, _: object) -> wire.ClassifyReply:
        code = next(words, None)
        return answer(request) if code is None else failure(request, code)

    with ScriptedServer(drains) as server:
        edge = device(server.target)
        put(edge, 1)
        edge.uplink.start()
        edge.until_empty()
        assert (server.streams, len(server.ids)) == (1, 3)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "keys")


def test_a_certificate_that_is_refused_leads_to_the_next_server(
    device: Callable[..., Device], authority: Authority, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path / "others")
    right = tls(authority)
    security = Security(ca=authority.files.cert)
    with ScriptedServer(credentials=tls(stranger)) as first, ScriptedServer(credentials=right) as second:
        edge = device(first.target, second.target, settings=SOON, security=security)
        ids = put(edge)
        edge.uplink.start()
        edge.until_empty()
        assert sorted(second.ids) == sorted(ids)
        assert not first.describes
        assert "certificate" in edge.uplink.message
        assert LinkState.DENIED not in edge.states  # nobody must act for frames to flow


def test_where_all_servers_deny_a_person_must_act(device: Callable[..., Device]) -> None:
    token = new_token()
    with ScriptedServer(token=token) as first, ScriptedServer(token=token) as second:
        edge = device(first.target, second.target, settings=SOON)
        put(edge)
        edge.uplink.start()
        edge.until_state(LinkState.DENIED, f"{first.target}: no such token; {second.target}: no such token")


def test_a_server_with_other_labels_is_passed_over(device: Callable[..., Device]) -> None:
    with ScriptedServer(labels=("x", "y")) as first, ScriptedServer() as second:
        edge = device(first.target, second.target, settings=SOON)
        ids = put(edge)
        edge.uplink.start()
        edge.until_empty()
        assert (first.ids, sorted(second.ids)) == ([], sorted(ids))
        assert "answers with 2 labels" in edge.uplink.message
        assert LinkState.MISMATCH not in edge.states


def test_each_server_is_asked_what_it_is_and_gets_what_it_reads(
    device: Callable[..., Device], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Labels, probabilities and the model's name are the answering server's, and never the other's."""

    def breaks(request: wire.ClassifyRequest, context: grpc.ServicerContext) -> wire.ClassifyReply:
        context.abort(grpc.StatusCode.UNAVAILABLE, "gone")
        raise AssertionError

    heard: list[Reply] = []
    with (
        ScriptedServer(breaks, reads_probabilities=True) as first,
        ScriptedServer(labels=("b", "a", "c")) as second,
    ):
        edge = device(first.target, second.target, settings=SOON)
        settle = edge.handler.answered

        def hear(one: SpoolItem, reply: Reply) -> None:
            heard.append(reply)
            settle(one, reply)

        monkeypatch.setattr(edge.handler, "answered", hear)
        put(edge)
        edge.uplink.start()
        edge.until_empty()
        assert {len(request.probabilities) for request in first.requests} == {2}
        assert {len(request.probabilities) for request in second.requests} == {0}
        assert {reply.server.labels for reply in heard} == {("b", "a", "c")}


def test_the_device_comes_back_to_the_first_server(device: Callable[..., Device]) -> None:
    first = ScriptedServer()
    with first:
        pass  # its port is known, and closed again
    with ScriptedServer() as second:
        edge = device(first.target, second.target, settings=AT_ONCE)
        put(edge)
        edge.uplink.start()
        edge.until_empty()
        assert second.ids
        with first:
            while not first.ids:
                edge.handler.replies.clear()
                put(edge, 1)
                edge.until_empty()
            assert edge.uplink.target == first.target
            assert edge.uplink.message == ""


def test_all_down_and_back(device: Callable[..., Device]) -> None:
    first, second = ScriptedServer(), ScriptedServer()
    with first, second:
        pass
    edge = device(first.target, second.target, settings=FAST)
    ids = put(edge)
    edge.uplink.start()
    edge.until_state(LinkState.OFFLINE, first.target, second.target)
    with second:
        edge.until_empty()
        assert sorted(second.ids) == sorted(ids)


@pytest.mark.parametrize("targets", [("a:1", "a:1"), ("a:1, ,b:1",), (), tuple(f"a:{port}" for port in range(1, 10))])
def test_a_list_that_cannot_be_used_is_refused(tmp_path: Path, targets: tuple[str, ...]) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger, pytest.raises(ConfigError, match="expected"):
        Routes(targets, WireAccount(ledger), UplinkSettings(), Security(insecure=True))


def test_every_server_must_be_safe_to_dial(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger, pytest.raises(ConfigError, match=r"vm\.example"):
        Routes("127.0.0.1:1,vm.example:1", WireAccount(ledger), UplinkSettings(), Security())


def test_a_transport_of_ones_own_dials_each_server_by_its_way(device: Callable[..., Device]) -> None:
    transport = FakeTransport(("a", "b"), error=ConnectionError("down"))
    edge = device("127.0.0.1:1", "127.0.0.1:2", settings=FAST, transport=transport)
    put(edge, 1)
    edge.uplink.start()
    edge.until_state(LinkState.OFFLINE, "127.0.0.1:2: down")


def test_what_a_day_of_failing_servers_costs_stays_within_the_budget(
    device: Callable[..., Device], authority: Authority, tmp_path: Path
) -> None:
    """Handshakes with a server whose certificate is refused are paid for, and end with the budget."""
    limit = 60_000
    security = Security(ca=authority.files.cert)
    strangers = [tls(Authority(tmp_path / name)) for name in ("x", "y")]
    with ScriptedServer(credentials=strangers[0]) as first, ScriptedServer(credentials=strangers[1]) as second:
        budget = Budget(limit, 86_400, Resource.UPLOAD)
        settings = UplinkSettings(backoff_s=0.001, max_backoff_s=0.001, return_s=0.001)
        edge = device(first.target, second.target, settings=settings, security=security, budgets=(budget,))
        put(edge)
        edge.uplink.start()
        edge.until_state(LinkState.BUDGET)
        assert 0 < edge.ledger.snapshot().bytes_sent <= limit
        assert len(edge.spool) == 3


@contextmanager
def slamming() -> Iterator[tuple[str, list[int]]]:
    """Takes connections and ends each at once; how many it took."""
    taken = [0]

    class Slam(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            taken[0] += 1

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Slam) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}", taken
        server.shutdown()
        thread.join()


def test_a_look_that_the_budget_does_not_pay_for_is_not_made(device: Callable[..., Device]) -> None:
    settings = UplinkSettings(backoff_s=0.01, max_backoff_s=0.01, return_s=0.01, idle_s=0.05)
    with slamming() as (first, taken), ScriptedServer() as second:
        limit = 200_000
        edge = device(first, second.target, settings=settings, budgets=(Budget(limit, 86_400, Resource.UPLOAD),))
        edge.uplink.start()
        while taken[0] < 3:  # it looks again and again while it can
            edge.handler.replies.clear()
            put(edge, 1)
            edge.until_empty()
        room = edge.uplink._account.reserve + 2 * CONNECTION_BYTES + frame_bytes(2_200) - 1_000
        edge.ledger.charge(upload=limit - edge.ledger.snapshot().bytes_sent - room)
        before = taken[0]
        edge.handler.replies.clear()
        put(edge, 1)
        edge.until_empty()
        assert taken[0] == before
        assert edge.ledger.snapshot().bytes_sent <= limit
