"""What is said of a device while it runs."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edge_sdk import Alerts, EdgeClassifier
from edge_sdk.alerts.alert import Phase
from edge_sdk.alerts.opening import DEVICE_RULE
from edge_sdk.camera.base import Fault
from edge_sdk.errors import CameraError
from edge_sdk.service.pulse import Pulse
from edge_sdk.service.signals import Signals
from edge_sdk.service.tender import Tender, event_line
from edge_sdk.systemd.supervisor import Supervisor
from edge_sdk.testing import FakeCamera, FakeChannel, FakeRuntime, write_fake_bundle
from edge_sdk.types import Event, Reason

BEGAN = datetime(2026, 11, 27, 4, 5, 6, tzinfo=UTC)
EVENT = Event("0" * 32, "cam", BEGAN, BEGAN + timedelta(seconds=9), 7, "fox", 0.934, "1" * 32)


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[EdgeClassifier]:
    bundle = write_fake_bundle(tmp_path / "bundle")
    with EdgeClassifier(bundle, runtime=FakeRuntime(), state_dir=tmp_path / "state", budget="5MB/day") as edge:
        yield edge


def test_the_supervisor_hears_how_the_device_is(edge: EdgeClassifier, tmp_path: Path) -> None:
    pulse = Pulse(60.0)
    pulse.lost(Fault("cam", CameraError("no answer from cam")))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server, Signals() as signals:
        server.bind(str(tmp_path / "notify"))
        server.settimeout(30)
        supervisor = Supervisor({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        # It looks when it is woken: the socket has room for ten messages, and more would be lost.
        with Tender(edge, FakeCamera([]), pulse, supervisor, signals, reload=lambda: None, every_s=1000) as tender:
            signals.wake()
            assert server.recv(1000) == b"WATCHDOG=1"
            assert server.recv(1000) == (
                b"STATUS=waiting for the camera: no answer from cam; 0 frames, 0 wait, link off; budgets 0% spent"
            )
            assert tender.status.startswith("waiting for the camera: no answer")
            pulse.away = ""
            signals.wake()
            assert server.recv(1000) == b"WATCHDOG=1"
            assert server.recv(1000).startswith(b"STATUS=waiting for the camera; 0 frames")
        while (heard := server.recv(1000)) == b"WATCHDOG=1":  # a last look
            pass
        assert heard == b"STOPPING=1\nSTATUS=writing everything down"


def test_alerts_hear_of_a_camera_that_is_away(edge: EdgeClassifier) -> None:
    channel, pulse = FakeChannel(), Pulse(60.0)
    pulse.away = "no answer from cam"
    with Alerts(edge, rules=[DEVICE_RULE], channels=[channel], look_every_s=0.01) as alerts, Signals() as signals:
        tender = Tender(
            edge, FakeCamera([]), pulse, Supervisor({}), signals, reload=lambda: None, alerts=alerts, every_s=0.01
        )
        with tender:
            assert channel.wait(delivered=1)
            pulse.away = ""
            assert channel.wait(delivered=2)
    assert [one.about for one in channel.delivered] == ["camera", "camera"]
    assert [one.phase for one in channel.delivered] == [Phase.BEGAN, Phase.ENDED]
    assert "no answer from cam" in channel.delivered[0].text


def test_a_fault_while_looking_after_the_device_ends_nothing(
    edge: EdgeClassifier, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Pulse):
        @property
        def is_well(self) -> bool:
            raise OSError("broken")

    with Signals() as signals:
        tender = Tender(edge, FakeCamera([]), Broken(1.0), Supervisor({}), signals, reload=lambda: None, every_s=0.001)
        with tender, caplog.at_level(logging.ERROR):
            while caplog.text.count("it goes on") < 3:
                pass


def test_the_line_of_an_event() -> None:
    assert event_line(EVENT) == "2026-11-27 04:05:06+0000 fox 0.93 (7 frames in 9 s, device: confident)"
    assert "(1 frame, device: confident)" in event_line(replace(EVENT, frames=1, ended_at=EVENT.began_at))
    later = Event(
        **{name: getattr(EVENT, name) for name in EVENT.__slots__} | {"final": False, "reason": Reason.UNSURE}
    )
    assert event_line(later).endswith("device: unsure, the cloud is asked)")
