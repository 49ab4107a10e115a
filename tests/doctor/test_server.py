"""A real server process, and servers that answer as they should not."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from doctor_parts import look
from server_parts import Home, serving

from edge_sdk.doctor.finding import Asked, Case, Finding, Level
from edge_sdk.doctor.machine import Machine
from edge_sdk.doctor.server import _padded
from edge_sdk.model.bundle import open_bundle
from edge_sdk.security.credentials import Security
from edge_sdk.security.tokens import new_token
from edge_sdk.testing import ScriptedServer
from edge_sdk.wire import offload_pb2 as wire

LABELS = open_bundle("trailcam").manifest.labels
LINK = ("keys", "name", "connection", "encryption", "server", "labels", "packets")


def link(target: str, security: Security | None = None) -> dict[str, Finding]:
    case = Case(Machine(), Asked(cloud=target, security=security or Security()))
    for name in LINK:
        look(name, case)
    return case.found


def test_a_server_that_demands_all_is_content_and_one_that_does_not_know_us_says_so(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with serving(tmp_path / "log", *home.options) as (_, target):
        found = link(target, home.security())
        levels = {name: finding.level for name, finding in found.items()}
        assert levels.pop("labels") is Level.WARNING, found["labels"]  # a stand-in serves
        assert set(levels.values()) == {Level.OK}, found
        assert found["server"].values["large_ms"] > 0 and found["server"].values["bytes_sent"] > 12_000

        home.token_file.write_text(new_token())
        refused = link(target, home.security())["server"]
        assert refused.level is Level.FAULT and "does not let this device in" in refused.found
        assert "edge-sdk keys token" in refused.do

        stranger = link(target, Security(ca=home.authority.files.cert))["server"]
        assert stranger.level is Level.FAULT and "demands a device certificate" in stranger.found

        plain = link(target)["server"]
        assert plain.level is Level.FAULT and "speaks TLS" in plain.found


def test_labels_that_do_not_fit_are_a_fault_and_more_of_them_are_none() -> None:
    with ScriptedServer(labels=("deer", "gnu")) as server:
        labels = link(server.target)["labels"]
    assert labels.level is Level.FAULT and "gnu" in labels.found and "--label-map" in labels.do
    with ScriptedServer(labels=(*LABELS, "gnu")) as server:
        found = link(server.target)
        assert server.describes == 5  # the device's own, three to time, a large one
    assert found["labels"].level is Level.WARNING and "calibrated with trailcam" in found["labels"].found


def test_a_token_that_a_server_does_not_know(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(new_token())
    token.chmod(0o600)
    with ScriptedServer(token=new_token()) as server:
        assert link(server.target, Security(token_file=token))["server"].level is Level.FAULT


def answering(reply: Callable[[socket.socket], object]) -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                opened, _ = listener.accept()
                with opened:
                    opened.recv(1000)
                    reply(opened)
            except OSError:
                return

    threading.Thread(target=serve, daemon=True).start()
    return listener


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (lambda one: one.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://portal\r\n\r\n"), "captive portal"),
        (lambda one: None, "ends each connection"),
    ],
    ids=["portal", "hang-up"],
)
def test_strangers(reply: Callable[[socket.socket], object], said: str) -> None:
    with closing(answering(reply)) as listener:
        server = link(f"127.0.0.1:{listener.getsockname()[1]}")["server"]
    assert server.level is Level.FAULT and said in server.found


@pytest.mark.slow
def test_a_server_that_never_answers() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        server = link(f"127.0.0.1:{silent.getsockname()[1]}")["server"]
    assert server.level is Level.FAULT and "does not answer" in server.found


@pytest.mark.parametrize("size", [200, 12_000, 16_000])
def test_the_large_call_is_a_description_asked_for_with_a_field_that_is_passed_over(size: int) -> None:
    content = _padded(size)
    assert size < len(content) < size + 8
    assert wire.DescribeRequest.FromString(content) is not None
