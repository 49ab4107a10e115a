"""MQTT against Debian's mosquitto."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from alert_parts import NOON, alert
from mqtt_parts import Broker, broker, listening, needs_broker, needs_paho

from edge_sdk import MqttAlerts, Resource
from edge_sdk.alerts.channel import Fate, Outcome, Status
from edge_sdk.alerts.toll import Toll
from edge_sdk.budget.ledger import Ledger
from edge_sdk.budget.limits import parse_budget
from edge_sdk.errors import ConfigError
from edge_sdk.security.certificates import Authority

BASE = "edge-sdk/cam-1"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Broker]:
    with broker(tmp_path) as found:
        yield found


@contextmanager
def connected(address: str, toll: Toll | None = None, **settings: Any) -> Iterator[MqttAlerts]:
    channel = MqttAlerts(address, **{"timeout_s": 120.0, **settings})
    channel.open("cam-1", toll or Toll())
    with closing(channel):
        yield channel


def refusal(channel: MqttAlerts) -> str:
    """Why an alert waits, once the channel has found out."""
    while (outcome := channel.deliver(alert())).said == "not connected yet":
        pass
    assert outcome.fate is Fate.LATER
    return outcome.said


@needs_paho
@needs_broker
def test_an_alert_is_delivered_when_the_broker_has_it(running: Broker) -> None:
    with listening(running.port) as listener, connected(running.address) as channel:
        made = alert("Füchse 🦊")
        assert channel.deliver(made) == Outcome(Fate.DELIVERED, "acknowledged by the broker")
        assert json.loads(listener.wait(f"{BASE}/alert"))["alert_id"] == made.alert_id


@needs_paho
@needs_broker
def test_home_assistant_finds_device_state_and_availability_retained(running: Broker) -> None:
    with connected(running.address) as channel:
        channel.show(Status("online", (), "fox", 0.93, NOON))
        assert channel.deliver(alert()).fate is Fate.DELIVERED
        with listening(running.port) as late:  # it came after all of it was said
            assert late.wait(f"{BASE}/availability") == b"online"
            assert json.loads(late.wait(f"{BASE}/state"))["last_class"] == "fox"
            sensor = json.loads(late.wait("homeassistant/sensor/edge-sdk-cam-1/last_class/config"))
            assert sensor["state_topic"] == f"{BASE}/state"
            channel.show(Status("offline", ("link: offline",), "fox", 0.93, NOON))
            while json.loads(late.wait(f"{BASE}/state"))["problem"] != "ON":
                pass  # what was shown before may come twice
            channel.close()
            late.wait(f"{BASE}/availability", b"offline")


@needs_paho
@needs_broker
def test_a_device_that_is_killed_is_offline(running: Broker) -> None:
    code = (
        "import sys, time; from edge_sdk import MqttAlerts; from edge_sdk.alerts.toll import Toll\n"
        "channel = MqttAlerts(sys.argv[1]); channel.open('cam-1', Toll()); time.sleep(600)"
    )
    with listening(running.port) as listener:
        device = subprocess.Popen([sys.executable, "-c", code, running.address])
        try:
            listener.wait(f"{BASE}/availability", b"online")
        finally:
            device.kill()
            device.wait()
        listener.wait(f"{BASE}/availability", b"offline")


@needs_paho
@needs_broker
def test_a_broker_that_comes_back_gets_what_waits(running: Broker) -> None:
    with connected(running.address) as channel:
        assert channel.deliver(alert("one")).fate is Fate.DELIVERED
        running.stop()
        running.start()
        assert channel.deliver(alert("two")).fate is Fate.DELIVERED  # within moments of the end, known or not
        assert channel.deliver(alert("three")).fate is Fate.DELIVERED


@needs_paho
@needs_broker
def test_a_message_that_paho_took_without_a_connection_is_delivered_on_the_next(running: Broker) -> None:
    with connected(running.address) as channel:
        assert channel.deliver(alert("one")).fate is Fate.DELIVERED
        running.stop()
        while channel._client.is_connected():
            threading.Event().wait(0.001)
        channel._ready.set()  # as if it had been found out a moment later
        made, outcomes = alert("two"), []
        delivery = threading.Thread(target=lambda: outcomes.append(channel.deliver(made)))
        delivery.start()
        running.start()
        delivery.join()
        assert [one.fate for one in outcomes] == [Fate.DELIVERED]


@needs_paho
def test_nobody_there_is_said_and_ends_soon() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    with connected(f"127.0.0.1:{port}", timeout_s=0.5) as channel:
        assert refusal(channel) == f"no MQTT broker answers at 127.0.0.1:{port}: Connection refused"


@needs_paho
def test_closing_ends_a_delivery_that_waits() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        channel = MqttAlerts(f"127.0.0.1:{silent.getsockname()[1]}", timeout_s=600)
        channel.open("cam-1", Toll())
        outcomes: list[Outcome] = []
        delivery = threading.Thread(target=lambda: outcomes.append(channel.deliver(alert())))
        delivery.start()
        silent.accept()[0].close()
        channel.close()
        delivery.join()
        assert outcomes[0].fate is Fate.LATER


@needs_paho
@needs_broker
def test_user_and_password(tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    passwords.touch(mode=0o600)
    subprocess.run(["mosquitto_passwd", "-b", str(passwords), "cam", "p@ss"], check=True, capture_output=True)
    with broker(tmp_path, "allow_anonymous false", f"password_file {passwords}") as running:
        with connected(running.address, user="cam", password="p@ss") as channel:
            assert channel.deliver(alert()).fate is Fate.DELIVERED
        with connected(f"mqtt://cam:p%40ss@{running.address}") as channel:
            assert channel.deliver(alert()).fate is Fate.DELIVERED
        with connected(running.address, user="cam", password="other", timeout_s=1.0) as channel:
            assert refusal(channel) == "the broker refuses the connection: Not authorized"


@needs_paho
@needs_broker
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # paho leaves a refused socket open
def test_an_encrypted_broker_whose_certificate_is_checked(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "keys")
    pair, other = authority.issue_server(["127.0.0.1"]), Authority(tmp_path / "other")
    device = authority.issue_device("cam-1")
    ca = authority.files.cert
    settings = (f"cafile {ca}", f"certfile {pair.cert}", f"keyfile {pair.key}", "require_certificate true")
    with broker(tmp_path, "allow_anonymous true", *settings) as running:
        address = f"mqtts://{running.address}"
        with connected(address, ca=ca, cert=device.cert, key=device.key) as channel:
            assert channel.deliver(alert()).fate is Fate.DELIVERED
        with connected(address, ca=other.files.cert, timeout_s=1.0) as channel:
            assert refusal(channel).startswith("the broker's certificate is not accepted")


@needs_paho
@needs_broker
def test_its_bytes_count_against_the_upload_budget_and_wait_for_room(running: Broker, tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db", budgets=[parse_budget("20kB/day", Resource.UPLOAD)]) as ledger:
        with connected(running.address, Toll(ledger)) as channel:
            assert channel.deliver(alert()).fate is Fate.DELIVERED
            spent = ledger.snapshot().spent(Resource.UPLOAD)
            assert 1_000 < spent < 12_000
            outcomes = [channel.deliver(alert("x" * 500)) for _ in range(30)]
            assert outcomes[0].fate is Fate.DELIVERED
            assert outcomes[-1] == Outcome(Fate.LATER, "the upload budget has no room for it now")
        assert ledger.snapshot().spent(Resource.UPLOAD) <= 20_000
    with (
        Ledger(tmp_path / "small.db", budgets=[parse_budget("100B/day", Resource.UPLOAD)]) as ledger,
        connected(running.address, Toll(ledger), timeout_s=0.5) as channel,
    ):
        assert refusal(channel) == "the upload budget has no room for a connection now"


@needs_paho
@pytest.mark.parametrize(
    "address",
    [
        *("", "http://host", "mqtt://", "host:99999", "host:0", "mqtt://host/topic", "mqtt://[::1", "a\nb"),
        *("a b", "mqtts://user:password@a b", "host ", "a..b", "300.1.1.1", "a,b", "host:"),
    ],
)
def test_what_is_no_broker_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="expected a broker as host:port"):
        MqttAlerts(address)


@needs_paho
def test_what_else_cannot_be_used_is_refused() -> None:
    for settings, message in (
        ({"ca": "ca.pem"}, "mqtts://"),
        ({"broker": "mqtts://host", "cert": "cert.pem"}, "cert and key together"),
        ({"topic": "a/#"}, "expected topic"),
        ({"discovery": "a b"}, "expected discovery"),
        ({"password": "geheim"}, "expected user beside password"),
        ({"timeout_s": 0}, "seconds above 0"),
    ):
        with pytest.raises(ConfigError, match=message) as caught:
            MqttAlerts(**{"broker": "host", **settings})  # type: ignore[arg-type]
        assert "geheim" not in str(caught.value)


@needs_paho
def test_a_password_that_can_be_read_on_the_way_is_told(caplog: pytest.LogCaptureFixture) -> None:
    for address in ("mqtts://cam:geheim@broker.example", "mqtt://cam:geheim@localhost", "broker.example"):
        MqttAlerts(address)
    assert not caplog.text
    MqttAlerts("mqtt://cam:geheim@broker.example")
    assert "the password goes to broker.example unencrypted" in caplog.text
    assert "geheim" not in caplog.text


@needs_paho
def test_its_name_shows_no_password() -> None:
    assert MqttAlerts("mqtts://cam:geheim@host").name == "mqtts://host:8883"
    assert MqttAlerts("host").name == "mqtt://host:1883"


def test_without_paho_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("paho", "paho.mqtt", "paho.mqtt.client"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=r"install the extra alerts, pip install '\.\[alerts\]'"):
        MqttAlerts("host")


def test_nothing_loads_paho_before_it_is_asked_for() -> None:
    code = (
        "import sys, edge_sdk.alerts.alerts, edge_sdk.alerts.mqtt, edge_sdk.alerts.webhook, edge_sdk.cli\n"
        "print([name for name in sys.modules if name.startswith('paho')])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
