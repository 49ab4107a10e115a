from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_sdk.systemd.supervisor import Supervisor


@pytest.fixture(params=["path", "abstract"])
def heard(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """What NOTIFY_SOCKET says, and the socket where it arrives."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@edge-sdk-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(name.replace("@", "\0"))
        server.setblocking(False)
        yield name, server


def test_the_supervisor_hears_each_word_as_one_datagram(heard: tuple[str, socket.socket]) -> None:
    name, server = heard
    supervisor = Supervisor({"NOTIFY_SOCKET": name})
    supervisor.ready("listening on 127.0.0.1:50051")
    supervisor.alive()
    supervisor.status("the model hangs")
    supervisor.stopping()
    assert [server.recv(1000) for _ in range(4)] == [
        b"READY=1\nSTATUS=listening on 127.0.0.1:50051",
        b"WATCHDOG=1",
        b"STATUS=the model hangs",
        b"STOPPING=1\nSTATUS=draining",
    ]


def fill(supervisor: Supervisor) -> None:
    """The socket has room for some ten messages."""
    for _ in range(1000):
        supervisor.alive()


@pytest.mark.parametrize("word", ["READY", "STOPPING"])
def test_a_supervisor_that_is_busy_hears_all_the_same(heard: tuple[str, socket.socket], word: str) -> None:
    name, server = heard
    supervisor = Supervisor({"NOTIFY_SOCKET": name}, patience_s=1000.0)
    fill(supervisor)
    telling = threading.Thread(target=lambda: supervisor.ready("x") if word == "READY" else supervisor.stopping())
    telling.start()
    server.setblocking(True)
    said = [server.recv(1000)]
    while said[-1] == b"WATCHDOG=1":
        said.append(server.recv(1000))
    telling.join()
    assert said[-1].startswith(f"{word}=1\n".encode()) and len(said) < 1000


def test_one_that_never_listens_holds_up_nothing(heard: tuple[str, socket.socket]) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": heard[0]}, patience_s=0.01)
    fill(supervisor)
    supervisor.ready("x")
    supervisor.stopping()


@pytest.mark.parametrize("name", ["", "/nowhere/at/all", "vsock:2:1234", "relative"])
def test_without_a_supervisor_nothing_happens(name: str) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": name} if name else {})
    supervisor.ready("x")
    supervisor.alive()
    supervisor.stopping()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_for_the_process_that_it_names(given: dict[str, str], expected: float | None) -> None:
    assert Supervisor({"NOTIFY_SOCKET": "/run/x", **given}).watchdog_s == expected
    assert Supervisor(given).watchdog_s is None
