"""The uplink against a real server on a real socket."""

from __future__ import annotations

import asyncio
import base64
import logging
import re
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from link_parts import ONCE, Device, item, tls

from edge_sdk.budget.limits import Budget, Resource
from edge_sdk.config import UplinkSettings
from edge_sdk.errors import ConfigError
from edge_sdk.link.transport import Connection, Reply, ServerInfo, Way
from edge_sdk.security.certificates import Authority
from edge_sdk.security.credentials import Security
from edge_sdk.security.tokens import new_token
from edge_sdk.store.frames import SpoolItem
from edge_sdk.testing.server import ScriptedServer, answer, failure
from edge_sdk.testing.transport import FakeTransport, first_label
from edge_sdk.types import LinkState
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire.cost import CONNECTION_BYTES, frame_bytes


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Callable[..., Device]]:
    devices: list[Device] = []

    def make(target: str, **options: object) -> Device:
        devices.append(Device(tmp_path, target, **options))
        return devices[-1]

    yield make
    for made in devices:
        made.close()


def test_every_frame_is_sent_once_and_acked_after_its_answer(device: Callable[..., Device]) -> None:
    with ScriptedServer() as server:
        edge = device(server.target)
        items = [item() for _ in range(30)]
        for one in items:
            edge.spool.put(one)
        edge.uplink.start()
        edge.until_empty()
        assert sorted(edge.handler.replies) == sorted(server.ids) == sorted(one.frame_id for one in items)
        assert server.streams == 1
        assert edge.uplink.state is LinkState.ONLINE


def test_a_frame_put_later_wakes_the_uplink(device: Callable[..., Device]) -> None:
    with ScriptedServer() as server:
        edge = device(server.target)
        edge.uplink.start()
        for _ in range(3):
            edge.spool.put(item())
            edge.until_empty()
        assert len(edge.handler.replies) == 3


def test_the_most_valuable_frame_leaves_first(device: Callable[..., Device]) -> None:
    with ScriptedServer() as server:
        edge = device(server.target, settings=UplinkSettings(backoff_s=0.01, window=1))
        items = [item(gain) for gain in (0.1, 0.9, 0.4)]
        for one in items:
            edge.spool.put(one)
        edge.uplink.start()
        edge.until_empty()
        assert server.ids == [items[1].frame_id, items[2].frame_id, items[0].frame_id]


def test_a_refused_frame_leaves_the_spool_and_does_not_end_the_stream(device: Callable[..., Device]) -> None:
    bad = item(gain=0.9)

    def script(request: wire.ClassifyRequest, _: object) -> wire.ClassifyReply:
        return (
            failure(request, wire.Failure.BAD_IMAGE, "broken") if request.frame_id == bad.frame_id else answer(request)
        )

    with ScriptedServer(script) as server:
        edge = device(server.target)
        good = item()
        for one in (bad, good):
            edge.spool.put(one)
        edge.uplink.start()
        edge.until_empty()
        assert edge.handler.refusals == [(bad.frame_id, "broken")]
        assert edge.handler.replies == [good.frame_id]
        assert server.streams == 1


def test_an_overloaded_server_is_asked_again(device: Callable[..., Device]) -> None:
    seen: list[str] = []

    def script(request: wire.ClassifyRequest, _: object) -> wire.ClassifyReply:
        seen.append(request.frame_id)
        return failure(request, wire.Failure.OVERLOADED) if len(seen) <= 3 else answer(request)

    with ScriptedServer(script) as server:
        edge = device(server.target)
        edge.spool.put(item())
        edge.uplink.start()
        edge.until_empty()
        assert len(seen) == 4
        assert server.streams == 1


@pytest.mark.parametrize(
    ("code", "retryable", "sent"),
    [
        (99, None, 4),
        (99, True, 4),
        (99, False, 1),
        (wire.Failure.BAD_IMAGE, True, 4),
        (wire.Failure.OVERLOADED, False, 1),
    ],
)
def test_a_failure_is_retried_as_the_server_says_and_where_its_code_is_of_a_newer_server(
    device: Callable[..., Device], code: int, retryable: bool | None, sent: int
) -> None:
    seen: list[str] = []

    def script(request: wire.ClassifyRequest, _: object) -> wire.ClassifyReply:
        seen.append(request.frame_id)
        reply = failure(request, code)
        if retryable is not None:
            reply.failure.retryable = retryable
        return reply if len(seen) <= 3 else answer(request)

    with ScriptedServer(script) as server:
        edge = device(server.target)
        edge.spool.put(item())
        edge.uplink.start()
        edge.until_empty()
        assert len(seen) == sent
        assert bool(edge.handler.refusals) == (sent == 1)


def test_fields_of_a_newer_server_are_passed_over(device: Callable[..., Device]) -> None:
    unknown = b"\xfa\x07\x05later"  # field 127, a string

    def script(request: wire.ClassifyRequest, _: object) -> wire.ClassifyReply:
        return wire.ClassifyReply.FromString(answer(request).SerializeToString() + unknown)

    with ScriptedServer(script) as server:
        edge = device(server.target)
        edge.spool.put(item())
        edge.uplink.start()
        edge.until_empty()
        assert len(edge.handler.replies) == 1


def test_a_server_that_breaks_off_gets_the_frame_again(device: Callable[..., Device]) -> None:
    seen: list[str] = []

    def script(request: wire.ClassifyRequest, context: object) -> wire.ClassifyReply:
        seen.append(request.frame_id)
        if len(seen) == 1:
            context.cancel()  # type: ignore[attr-defined]
        return answer(request)

    with ScriptedServer(script) as server:
        edge = device(server.target)
        one = item()
        edge.spool.put(one)
        edge.uplink.start()
        edge.until_empty()
        assert set(seen) == {one.frame_id}
        assert edge.handler.replies == [one.frame_id]


def test_a_silent_server_is_left_after_the_reply_timeout(device: Callable[..., Device]) -> None:
    seen: list[str] = []

    def script(request: wire.ClassifyRequest, _: object) -> wire.ClassifyReply | None:
        seen.append(request.frame_id)
        return answer(request) if len(seen) > 1 else None

    with ScriptedServer(script) as server:
        edge = device(server.target, settings=UplinkSettings(reply_timeout_s=0.3, backoff_s=0.01))
        one = item()
        edge.spool.put(one)
        edge.uplink.start()
        edge.until_empty()
        assert server.streams >= 2  # on a busy machine a reply may take too long as well
        assert edge.handler.replies == [one.frame_id]
        edge.until_state(LinkState.OFFLINE, "no reply within 0.3 s")


def test_no_server_is_a_state_and_its_coming_is_noticed(device: Callable[..., Device]) -> None:
    server = ScriptedServer()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server.port = free.getsockname()[1]
    edge = device(server.target)
    edge.spool.put(item())
    edge.uplink.start()
    edge.until_state(LinkState.OFFLINE, "no cloud server answers")
    with server:
        edge.until_empty()


def test_a_restarted_server_gets_the_rest(device: Callable[..., Device]) -> None:
    server = ScriptedServer()
    server.start()
    edge = device(server.target)
    edge.spool.put(item())
    edge.uplink.start()
    edge.until_empty()
    server.stop()
    edge.spool.put(item())
    edge.until_state(LinkState.OFFLINE)
    with server:
        edge.until_empty()
    assert len(edge.handler.replies) == 2


def test_wrong_labels_send_nothing_and_say_what_to_change(device: Callable[..., Device]) -> None:
    with ScriptedServer(labels=("a", "c")) as server:
        edge = device(server.target)
        edge.spool.put(item())
        edge.uplink.start()
        edge.until_state(LinkState.MISMATCH, "not with b", "--label-map")
        assert server.requests == []
        assert len(edge.spool) == 1


def test_a_frame_that_ends_each_connection_is_given_up_and_the_others_are_answered(
    device: Callable[..., Device],
) -> None:
    poison = item(gain=0.9)

    def script(request: wire.ClassifyRequest, context: grpc.ServicerContext) -> wire.ClassifyReply:
        if request.frame_id == poison.frame_id:
            context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")  # as where the server's process has ended
        return answer(request)

    with ScriptedServer(script) as server:
        settings = UplinkSettings(backoff_s=0.01, max_backoff_s=0.02, max_tries=3)
        edge = device(server.target, settings=settings)
        for one in (poison, *(item() for _ in range(20))):
            edge.spool.put(one)
        edge.uplink.start()
        edge.until_empty()
    assert len(edge.handler.replies) == 20
    ((frame_id, said),) = edge.handler.given_up
    assert frame_id == poison.frame_id
    assert "Socket closed" in said
    # All others were answered after its first try, so each further one is its own doing; quarters before that.
    assert 3 <= server.ids.count(poison.frame_id) <= 9


def test_a_server_that_never_answers_is_probed_with_one_frame(device: Callable[..., Device]) -> None:
    """The first connection takes a window of frames; each later one a single frame, until one is answered."""
    seen: list[int] = []

    def script(frame: SpoolItem, server: ServerInfo) -> Reply | None:
        seen.append(transport.connections)
        return first_label(frame, server) if len(seen) > 4 + 4 else None

    settings = UplinkSettings(window=4, reply_timeout_s=0.05, backoff_s=0.01, max_backoff_s=0.05)
    transport = FakeTransport(("a", "b"), script)  # what is sent has come at once, however busy the machine is
    edge = device("127.0.0.1:9", settings=settings, transport=transport)
    for _ in range(30):
        edge.spool.put(item())
    edge.uplink.start()
    edge.until_empty()
    assert seen[: 4 + 4] == [1, 1, 1, 1, 2, 3, 4, 5]
    assert len(edge.handler.replies) == 30
    assert not edge.handler.given_up


def test_twenty_thousand_labels_are_compared_at_once(device: Callable[..., Device]) -> None:
    """Each label is looked up; the time does not grow with the square of their number (it took most of a minute)."""
    labels = tuple(f"n{number:08} a species of some kind, and its other name" for number in range(21_841))
    transport = FakeTransport(labels)
    edge = device("127.0.0.1:9", labels=labels, transport=transport)
    edge.spool.put(item())
    edge.uplink.start()
    edge.until_empty()
    assert LinkState.MISMATCH not in edge.states


def test_twenty_thousand_labels_pass_the_wire(device: Callable[..., Device]) -> None:
    labels = tuple(f"n{number:08} a species of some kind, and its other name" for number in range(21_841))
    with ScriptedServer(lambda request, _: answer(request, labels[7]), labels=labels) as server:
        edge = device(server.target, labels=labels)
        edge.spool.put(item())
        edge.uplink.start()
        edge.until_empty()
        assert edge.handler.replies


def test_what_a_server_says_of_a_failure_is_one_short_line_of_the_log(
    device: Callable[..., Device], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    forged = "queue\n2026-01-01 01:00:00 CRITICAL sshd: root logged in\x1b[2J\u202e" + "A" * 900_000
    seen: list[str] = []

    def script(request: wire.ClassifyRequest, _: object) -> wire.ClassifyReply:
        seen.append(request.frame_id)
        return failure(request, wire.Failure.OVERLOADED if len(seen) == 1 else wire.Failure.BAD_IMAGE, forged)

    with ScriptedServer(script) as server:
        edge = device(server.target)
        edge.spool.put(item())
        edge.uplink.start()
        edge.until_empty()
    ((_, reason),) = edge.handler.refusals
    for text in (reason, *(record.getMessage() for record in caplog.records if record.name.startswith("edge_sdk"))):
        assert text.isprintable()
        assert len(text) < 1000


def test_why_a_stream_ended_is_one_short_line_of_the_state(device: Callable[..., Device]) -> None:
    """A status too is the server's text."""

    def script(request: wire.ClassifyRequest, context: grpc.ServicerContext) -> None:
        context.abort(grpc.StatusCode.INTERNAL, "no\r\x1b[31m" + "A" * 3_000)

    with ScriptedServer(script) as server:
        edge = device(server.target)
        edge.spool.put(item())
        edge.uplink.start()
        said = edge.until_state(LinkState.OFFLINE, "[31m")
    assert said.isprintable()
    assert len(said) < 1000


def test_the_upload_budget_holds_frames_back(device: Callable[..., Device]) -> None:
    one = item()
    message = wire.ClassifyRequest(frame_id=one.frame_id, image=one.image, probabilities=one.probabilities.tolist())
    price = frame_bytes(message.ByteSize())
    limit = 2 * (CONNECTION_BYTES + 3 * price)
    with ScriptedServer() as server:
        edge = device(server.target, budgets=[Budget(limit, 86_400)])
        for one in [item() for _ in range(20)]:
            edge.spool.put(one)
        edge.uplink.start()
        edge.until_state(LinkState.BUDGET, "upload budget")
        edge.handler.until(lambda: bool(edge.handler.replies))
        assert len(server.requests) < 10
        assert edge.ledger.snapshot().spent(Resource.UPLOAD) <= limit


def test_the_cloud_budget_holds_frames_back(device: Callable[..., Device]) -> None:
    with ScriptedServer() as server:
        edge = device(server.target, budgets=[Budget(2500, 86_400, Resource.CLOUD)])
        for _ in range(4):
            edge.spool.put(item())
        edge.uplink.start()
        edge.until_state(LinkState.BUDGET)
        edge.handler.until(lambda: len(edge.spool) == 2)
        assert len(server.requests) == 2
        assert edge.ledger.snapshot().spent(Resource.CLOUD) == 2000


def test_what_a_relay_counts_is_never_more_than_what_was_charged(device: Callable[..., Device]) -> None:
    with ScriptedServer() as server, CountingRelay(server.port) as relay:
        edge = device(f"127.0.0.1:{relay.port}")
        for size in (1, 100, 5_000, 40_000, 200_000):
            edge.spool.put(item(size=size))
        edge.uplink.start()
        edge.until_empty()
        edge.uplink.close()
        charged = edge.ledger.snapshot().bytes_sent
        assert relay.sent_bytes <= charged
        assert charged < 1.1 * relay.sent_bytes


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "keys")


def test_a_relay_counts_no_more_than_what_was_charged_for_an_encrypted_link(
    device: Callable[..., Device], authority: Authority, tmp_path: Path
) -> None:
    pair = authority.issue_device("cam")
    path = tmp_path / "token"
    path.write_text(token := new_token())
    path.chmod(0o600)
    security = Security(ca=authority.files.cert, cert=pair.cert, key=pair.key, token_file=path)
    server = ScriptedServer(credentials=tls(authority, mutual=True), token=token)
    with server, CountingRelay(server.port) as relay:
        edge = device(f"127.0.0.1:{relay.port}", security=security)
        for size in (1, 100, 5_000, 40_000, 200_000):
            edge.spool.put(item(size=size))
        edge.uplink.start()
        edge.until_empty()
        edge.uplink.close()
        charged = edge.ledger.snapshot().bytes_sent
        assert relay.sent_bytes <= charged
        assert charged < 1.2 * relay.sent_bytes


def test_a_handshake_alone_costs_no_more_than_its_charge(device: Callable[..., Device], authority: Authority) -> None:
    """Tries that the server ends: each is charged as a try, and nothing else is."""
    other = Authority(authority.files.cert.parent / "other")
    pair = other.issue_device("cam")
    security = Security(ca=authority.files.cert, cert=pair.cert, key=pair.key)
    with ScriptedServer(credentials=tls(authority, mutual=True)) as server, CountingRelay(server.port) as relay:
        edge = device(f"127.0.0.1:{relay.port}", security=security)
        edge.spool.put(item())
        edge.uplink.start()
        edge.until_state(LinkState.OFFLINE)
        edge.uplink.close()
        assert 0 < relay.sent_bytes <= edge.ledger.snapshot().bytes_sent


def other_authority(authority: Authority) -> Security:
    return Security(ca=Authority(authority.files.cert.parent / "other").files.cert)


def same_authority(authority: Authority) -> Security:
    return Security(ca=authority.files.cert)


def expired(authority: Authority) -> grpc.ServerCredentials:
    old = Authority(authority.files.cert.parent, now=datetime.now(UTC) - timedelta(days=900))
    return tls(old)


@pytest.mark.parametrize(
    ("served", "security", "state", "words"),
    [
        (tls, other_authority, LinkState.DENIED, "unable to get local issuer certificate"),
        (expired, same_authority, LinkState.DENIED, "certificate has expired"),
        (lambda one: tls(one, "vm.example"), same_authority, LinkState.DENIED, "for another host"),
        (lambda _: None, same_authority, LinkState.DENIED, "does not speak TLS"),
        (lambda one: tls(one, mutual=True), same_authority, LinkState.OFFLINE, "demands a device certificate"),
        (tls, lambda _: Security(), LinkState.OFFLINE, "speaks TLS"),
    ],
    ids=["wrong-ca", "expired", "wrong-host", "plaintext-server", "no-certificate", "plaintext-device"],
)
def test_a_link_that_cannot_be_trusted_says_why_and_sends_nothing(
    device: Callable[..., Device],
    authority: Authority,
    served: Callable[[Authority], grpc.ServerCredentials | None],
    security: Callable[[Authority], Security],
    state: LinkState,
    words: str,
) -> None:
    with ScriptedServer(credentials=served(authority)) as server:
        edge = device(server.target, security=security(authority), settings=ONCE)
        edge.spool.put(item())
        edge.uplink.start()
        edge.until_state(state, words)
        assert server.describes == 0
        assert len(edge.spool) == 1


def test_a_refused_token_is_a_state_and_not_tried_again_soon(
    device: Callable[..., Device],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    path = tmp_path / "token"
    path.write_text(old := new_token())
    path.chmod(0o600)
    pauses: list[float] = []
    with ScriptedServer(token=(new := new_token())) as server:
        settings = UplinkSettings(backoff_s=0.01, max_backoff_s=1000)
        edge = device(server.target, security=Security(token_file=path), settings=settings)
        edge.spool.put(item())
        again = threading.Event()

        async def pause(seconds: float) -> None:
            pauses.append(seconds)
            await asyncio.to_thread(again.wait)

        monkeypatch.setattr(edge.uplink._wakeup, "pause", pause)
        edge.uplink.start()
        assert edge.until_state(LinkState.DENIED) == "no such token"
        assert server.describes == 1
        path.write_text(new)  # read again with the next connection
        again.set()
        edge.until_empty()
    assert pauses[0] >= 750
    assert old not in caplog.text
    assert new not in caplog.text


def test_a_token_file_that_is_gone_is_a_state(device: Callable[..., Device], tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(new_token())
    path.chmod(0o600)
    with ScriptedServer() as server:
        edge = device(server.target, security=Security(token_file=path), settings=ONCE)
        path.unlink()
        edge.spool.put(item())
        edge.uplink.start()
        edge.until_state(LinkState.DENIED, "cannot read the token file")


def test_other_machines_are_not_dialled_in_the_clear(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected an encrypted link"):
        Device(tmp_path, "vm.example:50051")


def test_an_address_is_checked(tmp_path: Path) -> None:
    for bad in ("vm", "vm:", "vm:0", "vm:70000", "http://vm:1", ""):
        with pytest.raises(ConfigError, match="host:port"):
            Device(tmp_path / str(abs(hash(bad))), bad)


class CountingRelay:
    """A TCP relay that counts the bytes from the device to the server, 52 bytes of headers a read included."""

    HEADERS = 52

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.sent_bytes = 0

    def __enter__(self) -> CountingRelay:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                device, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(device,), daemon=True).start()

    def _relay(self, device: socket.socket) -> None:
        with device, socket.create_connection(("127.0.0.1", self._server_port)) as server:
            back = threading.Thread(target=self._copy, args=(server, device, False), daemon=True)
            back.start()
            self._copy(device, server, True)
            back.join()

    def _copy(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        try:
            while data := source.recv(65_536):
                if counted:
                    self.sent_bytes += len(data) + self.HEADERS
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


@contextmanager
def stranger(said: bytes) -> Iterator[str]:
    """The address of a server that answers whatever comes with `said` and ends the connection; b"": it says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[socket.socket] = []

        def serve() -> None:
            with suppress(OSError):
                while True:
                    client, _ = server.accept()
                    taken.append(client)
                    if said:
                        client.recv(10)
                        client.sendall(said)
                        client.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        for client in taken:
            client.close()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://portal/\x1b[2J\r\n\r\n",
            r"not a cloud server \(HTTP/1.1 302 Found, ",
        ),
        (b"<html>Welcome to the hotel", r"<html>Welcome to the hotel.*captive portal"),
        (b"", r"connected to 127.0.0.1:\d+, which does not answer \([0-9.]+ s so far\)"),
    ],
    ids=["redirect", "page", "silence"],
)
@pytest.mark.parametrize("encrypted", [False, True])
def test_a_stranger_at_the_address_is_told(
    device: Callable[..., Device],
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    said: bytes,
    words: str,
    encrypted: bool,
) -> None:
    monkeypatch.setattr("edge_sdk.link.uplink._PATIENCE_S", 1000.0 if said else 0.3)
    security = same_authority(authority) if encrypted else Security()
    with stranger(said) as target:
        edge = device(target, security=security, settings=ONCE)
        edge.spool.put(item())
        edge.uplink.start()
        message = edge.until_state(LinkState.OFFLINE, "" if said else "does not answer")
        edge.uplink.close(grace_s=0)
    assert re.search(words, message), message
    assert message.isprintable()
    assert len(edge.spool) == 1


def test_a_link_that_is_slow_to_come_up_says_anew_when_the_try_has_got_further(
    device: Callable[..., Device], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_sdk.link.uplink._PATIENCE_S", 0.01)

    class Hanging(FakeTransport):
        @asynccontextmanager
        async def connect(self, way: Way) -> AsyncIterator[Connection]:
            await asyncio.Event().wait()
            async with super().connect(way) as connection:
                yield connection

    edge = device("127.0.0.1:9", settings=ONCE, transport=Hanging(("a", "b")))
    dialler = edge.uplink._routes.current.relay._dialler
    dialler.doing = "waiting for a server to accept"
    edge.spool.put(item())
    edge.uplink.start()
    edge.until_state(LinkState.OFFLINE, "waiting for a server to accept (")
    dialler.doing = "connected, and no answer"
    edge.until_state(LinkState.OFFLINE, "connected, and no answer (")
    edge.uplink.close(grace_s=0)
    assert [state for state in edge.states if state is LinkState.OFFLINE] == [LinkState.OFFLINE] * 2  # each said once


def test_a_closed_port_says_so(device: Callable[..., Device]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        target = f"127.0.0.1:{gone.getsockname()[1]}"
    edge = device(target)
    edge.spool.put(item())
    edge.uplink.start()
    edge.until_state(LinkState.OFFLINE, f"no cloud server answers at {target}: the port is closed")


_CROWDED = """
import os, resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from edge_sdk.store.frames import SpoolItem
from edge_sdk.testing.server import ScriptedServer
from edge_sdk.types import LinkState
from link_parts import ONCE, Device, item, tls

with ScriptedServer() as server:
    edge = Device(Path(sys.argv[2]), server.target)
    edge.spool.put(item())
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    held = []
    try:
        while True:
            held.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        for _ in range(int(sys.argv[3])):
            os.close(held.pop())
    edge.uplink.start()
    print(edge.until_state(LinkState.OFFLINE, "too many files"))
    for one in held:
        os.close(one)
    edge.until_empty()
    edge.close()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the count of free descriptors is Linux's")
@pytest.mark.parametrize("free", [0, 1, 2, 4])
def test_a_full_table_of_files_is_a_state_and_ends_when_there_is_room(tmp_path: Path, free: int) -> None:
    command = [sys.executable, "-c", _CROWDED, str(Path(__file__).resolve().parents[1]), str(tmp_path), str(free)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("no connection can be opened: too many files are open"), done.stderr


class ConnectProxy:
    """An HTTP proxy that opens tunnels to those who name `authorization`; counts what passes towards the server."""

    def __init__(self, authorization: str) -> None:
        self._authorization = authorization
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.asked: list[str] = []
        self.carried = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._tunnel, args=(client,), daemon=True).start()

    def _tunnel(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(1)
            self.asked.append(head.split()[1].decode())
            self.carried += len(head)
            if f"Proxy-Authorization: {self._authorization}\r\n".encode() not in head:
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
                return
            host, _, port = self.asked[-1].rpartition(":")
            with socket.create_connection((host, int(port))) as server:
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                threading.Thread(target=self._copy, args=(server, client), daemon=True).start()
                self._copy(client, server, count=True)

    def _copy(self, source: socket.socket, sink: socket.socket, *, count: bool = False) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                self.carried += len(data) if count else 0  # before the server can answer it
                sink.sendall(data)


def test_a_proxy_that_is_asked_for_carries_the_link_charged_and_unseen(
    device: Callable[..., Device], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "pass/word#1@home"
    basic = base64.b64encode(f"cam:{secret}".encode()).decode()
    with ScriptedServer() as server, closing(ConnectProxy(f"Basic {basic}")) as proxy:
        settings = UplinkSettings(proxy=f"http://cam:{secret}@{proxy.address}")
        edge = device(server.target, settings=settings)
        edge.spool.put(item(size=20_000))
        edge.uplink.start()
        edge.until_empty()
        edge.uplink.close()
        assert proxy.asked == [server.target]
        assert 20_000 < proxy.carried < edge.ledger.snapshot().bytes_sent
    assert secret not in caplog.text
    assert basic not in caplog.text


def test_a_proxy_that_refuses_says_what_is_missing(device: Callable[..., Device]) -> None:
    with ScriptedServer() as server, closing(ConnectProxy("Basic none")) as proxy:
        edge = device(server.target, settings=UplinkSettings(proxy=f"http://{proxy.address}", backoff_s=100))
        edge.spool.put(item())
        edge.uplink.start()
        edge.until_state(LinkState.OFFLINE, f"the proxy {proxy.address} demands a user and password")
        assert server.describes == 0
