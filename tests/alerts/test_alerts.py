"""`Alerts` beside a real classifier, with its thread, its file, and a real receiver."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from alert_parts import answer, receiver, until

from edge_sdk import AlertRule, Alerts, EdgeClassifier, Resource, Webhook
from edge_sdk.alerts.alert import Alert, Kind, Phase
from edge_sdk.alerts.channel import Fate, Outcome
from edge_sdk.errors import ConfigError, StorageError
from edge_sdk.testing import FakeChannel, FakeClock, FakeRuntime, FakeTransport, write_fake_bundle

BLACK, WHITE = (np.full((48, 64, 3), value, np.uint8) for value in (0, 255))
FAULTS = AlertRule(kinds=(Kind.FAULT,))


def device(folder: Path, **settings: Any) -> EdgeClassifier:
    bundle = write_fake_bundle(folder / "bundle", labels=("dark", "bright"))
    return EdgeClassifier(bundle, state_dir=folder / "state", runtime=FakeRuntime(), threshold=0.0, **settings)


def test_answers_of_the_device_become_alerts_by_themselves(tmp_path: Path) -> None:
    channel = FakeChannel()
    with device(tmp_path) as edge, Alerts(edge, rules=[AlertRule(("dark",))], channels=[channel], device="c") as alerts:
        said = [edge.classify(picture) for picture in (BLACK, WHITE, BLACK)]
        assert channel.wait(2)
        assert [one.frame_id for one in channel.delivered] == [said[0].frame_id, said[2].frame_id]
        assert channel.device == "c"
        assert alerts.messages == {"fake": "delivered"}
    assert channel.closed
    assert (tmp_path / "state" / "alerts.db").exists()
    assert edge is not None


def test_the_clouds_last_word_becomes_an_alert(tmp_path: Path) -> None:
    channel = FakeChannel()
    transport = FakeTransport(("dark", "bright"))
    with (
        device(tmp_path, cloud="127.0.0.1:9", transport=transport) as edge,
        Alerts(edge, rules=[AlertRule()], channels=[channel]),
    ):
        edge.reconfigure(threshold=1.01)
        assert not edge.classify(BLACK).final
        assert channel.wait(1)
        assert channel.delivered[0].origin == "cloud"
        assert edge.classify(WHITE, wait_s=20).final  # one that `classify` waits for too
        assert channel.wait(2)


def test_a_link_that_fails_is_told_and_shown(tmp_path: Path) -> None:
    channel = FakeChannel()
    with (
        device(tmp_path, cloud="127.0.0.1:9", transport=FakeTransport(("other", "labels"))) as edge,
        Alerts(edge, rules=[FAULTS], channels=[channel], look_every_s=0.01),
    ):
        edge.reconfigure(threshold=1.01)
        edge.classify(BLACK)
        assert channel.wait(1)
        assert (channel.delivered[0].kind, channel.delivered[0].phase) == (Kind.FAULT, Phase.BEGAN)
        assert channel.delivered[0].text.startswith("link: label mismatch")
        while not channel.shown[-1].problem:  # at first the link is connecting
            assert channel.wait(shown=len(channel.shown) + 1)


def test_faults_of_the_program_begin_and_end(tmp_path: Path) -> None:
    channel = FakeChannel()
    with Alerts(rules=[FAULTS], channels=[channel], state_dir=tmp_path) as alerts:
        alerts.fault("camera", "gone\n\x1b[31m")
        assert channel.wait(1)
        alerts.mended("camera")
        alerts.mended("another")
        assert channel.wait(2)
    assert [(one.phase, one.text) for one in channel.delivered] == [
        (Phase.BEGAN, r"camera: gone\n\x1b[31m"),
        (Phase.ENDED, r"over: camera: gone\n\x1b[31m"),
    ]


def test_what_is_not_delivered_waits_for_the_next_start_and_rates_go_on(tmp_path: Path) -> None:
    rules, clock = [AlertRule(at_most="2/day")], FakeClock()
    first = FakeChannel([Fate.LATER] * 100)
    with Alerts(rules=rules, channels=[first], state_dir=tmp_path, clock=clock) as alerts:
        for _ in range(3):
            alerts.take(answer())
        until(lambda: alerts.held == 1)
        assert first.wait(tried=1)
    second = FakeChannel()
    with Alerts(rules=rules, channels=[second], state_dir=tmp_path, clock=clock) as alerts:
        assert second.wait(2)
        alerts.take(answer())
        until(lambda: alerts.held == 1)
    assert len(second.delivered) == 2
    assert first.tried[0] in second.delivered


def test_each_channel_goes_at_its_own_pace(tmp_path: Path) -> None:
    gate = threading.Event()

    class Slow(FakeChannel):
        def deliver(self, alert: Alert) -> Outcome:
            gate.wait(30)
            return super().deliver(alert)

    slow, quick = Slow(name="slow"), FakeChannel(name="quick")
    with Alerts(rules=[AlertRule()], channels=[slow, quick], state_dir=tmp_path) as alerts:
        for _ in range(5):
            alerts.take(answer())
        assert quick.wait(5)
        assert not slow.delivered
        assert alerts.waiting == 5
        gate.set()
        assert slow.wait(5)


def test_closing_does_not_wait_for_a_channel_that_hangs(tmp_path: Path) -> None:
    gate, inside = threading.Event(), threading.Event()

    class Hanging(FakeChannel):
        def deliver(self, alert: Alert) -> Outcome:
            inside.set()
            gate.wait(60)
            return super().deliver(alert)

        def close(self) -> None:
            super().close()
            gate.set()

    channel = Hanging()
    alerts = Alerts(rules=[AlertRule()], channels=[channel], state_dir=tmp_path)
    alerts.take(answer())
    assert inside.wait(20)
    alerts.close(grace_s=0.0)
    assert channel.closed
    alerts.close()


def test_alerts_survive_a_kill(tmp_path: Path) -> None:
    code = """
import sys, time
sys.path.insert(0, sys.argv[2])
from alert_parts import answer
from edge_sdk import AlertRule, Alerts
from edge_sdk.alerts.channel import Fate
from edge_sdk.testing import FakeChannel
channel = FakeChannel([Fate.LATER] * 1000, name="hook")
alerts = Alerts(rules=[AlertRule()], channels=[channel], state_dir=sys.argv[1])
for _ in range(20):
    alerts.take(answer())
while alerts.waiting < 20:
    time.sleep(0.001)
print("all wait", flush=True)
time.sleep(600)
"""
    tests = Path(__file__).resolve().parent.parent
    killed = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), str(tests)], stdout=subprocess.PIPE, text=True
    )
    assert killed.stdout is not None
    with killed.stdout:
        assert killed.stdout.readline() == "all wait\n"
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    with receiver() as server:
        hook = Webhook(server.url, name="hook")
        with Alerts(rules=[AlertRule()], channels=[hook], state_dir=tmp_path):
            for _ in range(20):
                server.arrived.acquire()
        ids = [json.loads(body)["alert_id"] for _, _, body in server.requests]
    assert len(set(ids)) == 20


def test_a_receiver_that_fails_gets_each_alert_at_least_once(tmp_path: Path) -> None:
    with receiver() as server:
        server.replies = [(503, {}, b""), (500, {}, b"")]
        with Alerts(rules=[AlertRule()], channels=[Webhook(server.url)], state_dir=tmp_path) as alerts:
            for _ in range(3):
                alerts.take(answer())
            for _ in range(5):
                server.arrived.acquire()
        ids = [json.loads(body)["alert_id"] for _, _, body in server.requests]
        assert (len(ids), len(set(ids))) == (5, 3)


def test_metered_alerts_count_against_the_budget_of_the_device(tmp_path: Path) -> None:
    with receiver() as server, device(tmp_path, budget="100kB/day") as edge:
        with Alerts(edge, rules=[AlertRule()], channels=[Webhook(server.url)], metered=True):
            edge.classify(BLACK)
            server.arrived.acquire()
        assert 1_000 < edge.usage.spent(Resource.UPLOAD) < 6_000


def test_unmetered_alerts_cost_nothing(tmp_path: Path) -> None:
    with receiver() as server, device(tmp_path, budget="100kB/day") as edge:
        with Alerts(edge, rules=[AlertRule()], channels=[Webhook(server.url)]):
            edge.classify(BLACK)
            server.arrived.acquire()
        assert edge.usage.spent(Resource.UPLOAD) == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"device": "a b"}, "expected device as"),
        ({"device": ""}, "expected device as"),
        ({"channels": []}, "one channel at least"),
        ({"channels": [FakeChannel(), FakeChannel()]}, "different names"),
        ({"metered": True}, "expected edge beside metered"),
        ({"budget_share": 0}, "budget_share above 0"),
        ({"most_waiting": 0}, "most_waiting of at least 1"),
        ({"look_every_s": 0}, "times in seconds above 0"),
        ({"rules": []}, "one AlertRule at least"),
    ],
)
def test_what_cannot_be_used_is_refused_before_a_file_is_made(
    tmp_path: Path, given: dict[str, Any], message: str
) -> None:
    settings: dict[str, Any] = {"rules": [FAULTS], "channels": [FakeChannel()], "state_dir": tmp_path / "new"}
    with pytest.raises(ConfigError, match=message):
        Alerts(**{**settings, **given})
    assert not (tmp_path / "new").exists()


def test_the_file_belongs_to_one_process(tmp_path: Path) -> None:
    second = FakeChannel()
    with (
        Alerts(rules=[FAULTS], channels=[FakeChannel()], state_dir=tmp_path),
        pytest.raises(StorageError, match="another process holds it"),
    ):
        Alerts(rules=[FAULTS], channels=[second], state_dir=tmp_path)


def test_a_listener_that_ends_hears_nothing_more(tmp_path: Path) -> None:
    channel = FakeChannel()
    with device(tmp_path) as edge:
        with Alerts(edge, rules=[AlertRule()], channels=[channel]):
            edge.classify(BLACK)
            assert channel.wait(1)
        edge.classify(BLACK)
        assert edge._parts.answers._listeners == ()
    assert len(channel.delivered) == 1
