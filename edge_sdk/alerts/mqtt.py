"""Alerts by MQTT (3.1.1), through paho-mqtt: the extra `alerts`.

Topics, below `edge-sdk/DEVICE`: `alert` (each alert, QoS 1), `state` (what the device is doing, retained) and
`availability` ("online", or "offline" by the last will, retained). Home Assistant finds the device by itself.
"""

from __future__ import annotations

import logging
import re
import ssl
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from edge_sdk.alerts.alert import Alert
from edge_sdk.alerts.channel import Fate, Outcome, Status
from edge_sdk.alerts.discovery import configurations, state
from edge_sdk.alerts.toll import Toll, opening_bytes, payload_bytes
from edge_sdk.errors import ConfigError
from edge_sdk.redaction import without_secrets
from edge_sdk.security.credentials import is_loopback
from edge_sdk.security.pem import client_context
from edge_sdk.security.place import read_place
from edge_sdk.terminal.line import one_line

_log = logging.getLogger(__name__)

_TOPIC = re.compile(r"[A-Za-z0-9_./-]{1,128}")
_LONGEST_PAUSE_S = 120
_CONNECT_S = 5.0
_END_S = 2.0
_KEEPALIVE_S = 300  # a ping and its acknowledgement are some 200 bytes


def need_paho() -> Any:
    """The module `paho.mqtt.client`.

    Raises:
        ConfigError: it is not installed, or older than 2.0.
    """
    try:
        from paho.mqtt import client
    except ImportError:
        raise ConfigError(
            "expected the package paho-mqtt for alerts by MQTT; this Python lacks it: install the extra alerts, "
            "pip install '.[alerts]' in the checkout"
        ) from None
    if not hasattr(client, "CallbackAPIVersion"):
        raise ConfigError("expected paho-mqtt 2.0 or newer for alerts by MQTT; this Python has an older one")
    return client


class MqttAlerts:
    """Publishes alerts and the device's state to an MQTT broker, and reconnects by itself.

    An alert is delivered when the broker has acknowledged it (QoS 1).

    Args:
        broker: "host", "host:port", "mqtt://host:port" or, encrypted, "mqtts://host:port"; the port is 1883, or 8883
            where encrypted. "mqtts://user:password@host" is read too.
        user: name for the broker; None: that of `broker`.
        password: of `user`; None: that of `broker`.
        ca: PEM file of the authority of the broker's certificate, which is checked; None: the system's authorities.
        cert: PEM file of this device's certificate, for a broker that demands one. Needs `key` and "mqtts://".
        key: PEM file of the key of `cert`.
        topic: above the device's name.
        discovery: prefix of Home Assistant's discovery topics; None: nothing is published there.
        timeout_s: for which one try to deliver waits, for a connection and for the acknowledgement.
        name: tells channels apart; None: made of the address.

    Raises:
        ConfigError: a value cannot be used, or paho-mqtt is not installed.
    """

    def __init__(
        self,
        broker: str,
        *,
        user: str | None = None,
        password: str | None = None,
        ca: str | Path | None = None,
        cert: str | Path | None = None,
        key: str | Path | None = None,
        topic: str = "edge-sdk",
        discovery: str | None = "homeassistant",
        timeout_s: float = 10.0,
        name: str | None = None,
    ) -> None:
        self._mqtt = need_paho()
        address = broker if "://" in broker else f"mqtt://{broker}"
        shown = without_secrets(address)
        try:
            parts = urlsplit(address)
            if parts.scheme not in ("mqtt", "mqtts") or not address.isprintable():
                raise ValueError("another scheme, or control characters")
            if parts.path.strip("/") or parts.query or parts.fragment:
                raise ValueError("a path, which a broker has none of")
            self._encrypted = parts.scheme == "mqtts"
            host, port = read_place(parts.netloc.rpartition("@")[2], 8883 if self._encrypted else 1883)
        except ValueError as error:
            raise ConfigError(
                f"expected a broker as host:port, mqtt://host:port or mqtts://host:port; got {shown!r}, {error}"
            ) from None
        if not self._encrypted and (ca or cert or key):
            raise ConfigError(f"expected mqtts:// where a certificate is named; got {shown!r}")
        if (cert is None) != (key is None):
            raise ConfigError(f"expected cert and key together; got cert {cert}, key {key}")
        for what, value in (("topic", topic), ("discovery", discovery)):
            if value is not None and not _TOPIC.fullmatch(value):
                raise ConfigError(f"expected {what} as letters, digits and _ . / -; got {value!r}")
        if not 0 < timeout_s < float("inf"):
            raise ConfigError(f"expected timeout_s as seconds above 0; got {timeout_s!r}")
        self._host, self._port = host, port
        self._user = user if user is not None else unquote(parts.username) if parts.username else None
        self._password = password if password is not None else unquote(parts.password) if parts.password else None
        if self._password is not None and self._user is None:
            raise ConfigError("expected user beside password; got a password alone")
        if self._password is not None and not self._encrypted and not is_loopback(host):
            _log.warning("the password goes to %s unencrypted (mqtts:// encrypts): anyone on the way can use it", host)
        self._context = client_context(ca, cert, key) if self._encrypted else None
        self._topic, self._discovery, self._timeout_s = topic, discovery, timeout_s
        self.name = name or f"{parts.scheme}://{host}:{self._port}"
        self._toll, self._base, self._device = Toll(), "", ""
        self._paying = threading.Lock()
        self._client: Any = None
        self._ready = threading.Event()
        self._closed = False
        self._trouble = "not connected yet"
        self._status: Status | None = None
        self._published: bytes | None = None
        self._sent: tuple[str, int] | None = None  # the alert that paho holds, and the number of its message
        self._acknowledged: set[int] = set()
        self._news = threading.Condition()

    def open(self, device: str, toll: Toll) -> None:
        """Begin to connect, on paho's thread; it tries again by itself, after up to two minutes."""
        self._toll, self._device, self._base = toll, device, f"{self._topic}/{device}"
        mqtt = self._mqtt
        client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            client_id=f"edge-sdk-{device}",
            protocol=mqtt.MQTTv311,
            clean_session=True,
        )
        if self._user is not None:
            client.username_pw_set(self._user, self._password)
        if self._context is not None:
            client.tls_set_context(self._context)
        client.will_set(f"{self._base}/availability", "offline", qos=1, retain=True)
        client.reconnect_delay_set(1, _LONGEST_PAUSE_S)
        client.connect_timeout = _CONNECT_S
        client.on_pre_connect = self._before
        client.on_socket_open = self._opened
        client.on_socket_close = self._gone
        client.on_connect = self._connected
        client.on_connect_fail = self._failed
        client.on_disconnect = self._disconnected
        client.on_publish = self._acknowledge
        self._client = client
        client.connect_async(self._host, self._port, keepalive=_KEEPALIVE_S)
        client.loop_start()

    def deliver(self, alert: Alert) -> Outcome:
        """Publish the alert and wait for the broker's acknowledgement."""
        is_ready, client = self._ready.wait(self._timeout_s), self._client
        if not is_ready or client is None:
            return Outcome(Fate.LATER, self._trouble)
        if self._sent is None or self._sent[0] != alert.alert_id:
            body = alert.to_json()
            if not self._pay(payload_bytes(len(body))):
                return Outcome(Fate.LATER, "the upload budget has no room for it now")
            self._acknowledged.clear()
            # Where the connection has just ended, paho holds the message and sends it on the next one.
            self._sent = alert.alert_id, client.publish(f"{self._base}/alert", body, qos=1).mid
        number = self._sent[1]
        with self._news:
            self._news.wait_for(lambda: number in self._acknowledged or self._closed, self._timeout_s)
        if number not in self._acknowledged:
            return Outcome(Fate.LATER, f"no acknowledgement within {self._timeout_s:g} s")
        self._sent = None
        return Outcome(Fate.DELIVERED, "acknowledged by the broker")

    def show(self, status: Status) -> None:
        """Publish the device's state, retained."""
        self._status = status
        if self._ready.is_set():
            self._publish_state()

    def close(self) -> None:
        """Say "offline" and disconnect; a delivery that waits returns."""
        client, self._client = self._client, None
        with self._news:
            self._closed = True
            self._news.notify_all()
        self._ready.set()
        if client is None:
            return
        if client.is_connected():
            said = client.publish(f"{self._base}/availability", "offline", qos=1, retain=True)
            with suppress(ValueError, RuntimeError):
                said.wait_for_publish(_END_S / 2)
        client.disconnect()
        # A look-up of the broker's name may take long: its thread is left behind then.
        ending = threading.Thread(target=client.loop_stop, name="alerts mqtt end", daemon=True)
        ending.start()
        ending.join(_END_S)

    def _pay(self, n_bytes: int) -> bool:
        with self._paying:
            self._toll.settle()
            return self._toll.pay(n_bytes)

    def _before(self, client: Any, data: Any) -> None:
        """Pay for a connection, before it is dialled."""
        if self._closed:
            raise ConnectionAbortedError
        with self._paying:
            self._toll.closed()
        if not self._pay(opening_bytes(encrypted=self._encrypted) + payload_bytes(256) + self._announcement_bytes()):
            raise ConnectionAbortedError("the upload budget has no room for a connection now")

    def _opened(self, client: Any, data: Any, connection: Any) -> None:
        with self._paying:
            self._toll.opened(connection)

    def _gone(self, client: Any, data: Any, connection: Any) -> None:
        with self._paying:
            self._toll.closed()

    def _connected(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._trouble = f"the broker refuses the connection: {one_line(reason)}"
            return
        for topic, payload in self._announcements().items():
            client.publish(topic, payload, qos=1, retain=True)
        self._trouble, self._published = "", None
        self._ready.set()
        self._publish_state()

    def _failed(self, client: Any, data: Any) -> None:
        error = sys.exc_info()[1]  # paho calls this while it handles it
        if isinstance(error, ssl.SSLCertVerificationError):
            self._trouble = f"the broker's certificate is not accepted: {error.verify_message}"
        elif isinstance(error, ConnectionAbortedError):
            self._trouble = str(error)
        else:
            said = getattr(error, "strerror", None) or type(error).__name__
            self._trouble = f"no MQTT broker answers at {self._host}:{self._port}: {said}"

    def _disconnected(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        if not self._closed:
            self._ready.clear()
        if "refuses" not in self._trouble:
            self._trouble = f"the connection ended: {one_line(reason)}"

    def _acknowledge(self, client: Any, data: Any, number: int, reason: Any, properties: Any) -> None:
        with self._news:
            self._acknowledged.add(number)
            self._news.notify_all()

    def _announcements(self) -> dict[str, bytes]:
        found = {f"{self._base}/availability": b"online"}
        if self._discovery is not None:
            found |= configurations(self._discovery, self._base, self._device)
        return found

    def _announcement_bytes(self) -> int:
        return sum(len(topic) + payload_bytes(len(payload)) for topic, payload in self._announcements().items())

    def _publish_state(self) -> None:
        client = self._client
        if client is None or self._status is None:
            return
        payload = state(self._status)
        if payload != self._published and self._pay(payload_bytes(len(payload) + len(self._base))):
            client.publish(f"{self._base}/state", payload, qos=0, retain=True)
            self._published = payload
        with self._paying:
            self._toll.settle()  # of pings too
