"""The uplink against a real server on a real socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from scripted_server import ScriptedServer, answer, failure

from edge_sdk.budget import Budget, Resource
from edge_sdk.config import UplinkSettings
from edge_sdk.errors import ConfigError
from edge_sdk.ledger import Ledger
from edge_sdk.spool import Spool, SpoolItem
from edge_sdk.types import LinkState, new_frame_id
from edge_sdk.uplink import Uplink
from edge_sdk.wire import offload_pb2 as wire
from edge_sdk.wire.cost import CONNECTION_BYTES, frame_bytes

FAST = UplinkSettings(connect_timeout_s=30, reply_timeout_s=60, backoff_s=0.01, max_backoff_s=0.05)


def item(gain: float = 0.5, size: int = 2000) -> SpoolItem:
    probabilities = np.array([0.5, 0.5], np.float32)
    return SpoolItem(new_frame_id(), bytes(size), probabilities, gain, datetime.now(UTC), "test")


class Handler:
    """Collects replies, and lets a test wait for a condition on them."""

    def __init__(self) -> None:
        self.replies: list[str] = []
        self.refusals: list[tuple[str, str]] = []
        self.acks = 0
        self.changed = threading.Condition()

    def answered(self, item: SpoolItem, reply: wire.ClassifyReply) -> None:
        with self.changed:
            self.replies.append(item.frame_id)
            self.changed.notify_all()

    def refused(self, item: SpoolItem, failure: wire.Failure) -> None:
        with self.changed:
            self.refusals.append((item.frame_id, failure.message))
            self.changed.notify_all()

    def flush(self) -> bool:
        return True

    def acked(self) -> None:
        with self.changed:
            self.acks += 1
            self.changed.notify_all()

    def until(self, condition: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, 30)


class Device:
    """Spool, ledger, handler and uplink of one device."""

    def __init__(self, folder: Path, target: str, **options: object) -> None:
        self.handler = Handler()
        self.spool = Spool(folder / "spool")
        self.ledger = Ledger(folder / "ledger.db", budgets=options.pop("budgets", ()))  # type: ignore[arg-type]
        settings = options.pop("settings", FAST)
        self.uplink = Uplink(target, self.spool, self.ledger, ("a", "b"), self.handler, settings)  # type: ignore[arg-type]
        self.states: list[LinkState] = []
        self.state_changed = threading.Condition()
        told = self.uplink._set

        def tell(state: LinkState, message: str = "") -> None:
            told(state, message)
            with self.state_changed:
                self.states.append(state)
                self.state_changed.notify_all()

        self.uplink._set = tell  # type: ignore[method-assign]

    def until_state(self, state: LinkState) -> None:
        with self.state_changed:
            assert self.state_changed.wait_for(lambda: state in self.states, 30)

    def until_empty(self) -> None:
        self.handler.until(lambda: len(self.spool) == 0)

    def close(self) -> None:
        self.uplink.close()
        self.spool.close()
        self.ledger.close()


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
        edge.spool.put(item())
        edge.uplink.start()
        edge.until_empty()
        assert server.streams == 2
        assert LinkState.OFFLINE in edge.states


def test_no_server_is_a_state_and_its_coming_is_noticed(device: Callable[..., Device]) -> None:
    server = ScriptedServer()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server.port = free.getsockname()[1]
    edge = device(server.target)
    edge.spool.put(item())
    edge.uplink.start()
    edge.until_state(LinkState.OFFLINE)
    assert "no cloud server answers" in edge.uplink.message
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
        edge.until_state(LinkState.MISMATCH)
        assert "not with b" in edge.uplink.message
        assert "--label-map" in edge.uplink.message
        assert server.requests == []
        assert len(edge.spool) == 1


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
        edge.until_state(LinkState.BUDGET)
        edge.handler.until(lambda: bool(edge.handler.replies))
        assert len(server.requests) < 10
        assert edge.ledger.snapshot().spent(Resource.UPLOAD) <= limit
        assert "upload budget" in edge.uplink.message


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
