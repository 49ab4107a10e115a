"""A real MQTT broker for tests, Debian's mosquitto, and a client that hears everything."""

from __future__ import annotations

import queue
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
needs_paho = pytest.mark.skipif(
    find_spec("paho") is None, reason="paho-mqtt is not installed: pip install '.[alerts]' in the checkout"
)
needs_broker = pytest.mark.skipif(
    MOSQUITTO is None, reason="mosquitto is not installed: apt-get install mosquitto (Debian, Ubuntu)"
)


@dataclass
class Broker:
    """A running mosquitto on a free port of this machine.

    Attributes:
        port: of its only listener; it stays the same over restarts.
    """

    folder: Path
    settings: Sequence[str] = ("allow_anonymous true",)
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        if self.port:
            assert self._starts(), "mosquitto has ended"
            return
        for _ in range(20):
            with socket.create_server(("127.0.0.1", 0)) as free:
                self.port = free.getsockname()[1]
            if self._starts():  # else another process has taken the port
                return
        raise AssertionError("mosquitto ends on every port")

    def _starts(self) -> bool:
        """Start it on its port and wait until it takes connections; False: it has ended."""
        lines = [f"listener {self.port} 127.0.0.1", "user root", "log_type none", *self.settings]
        (self.folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")
        assert MOSQUITTO is not None
        self.process = subprocess.Popen([MOSQUITTO, "-c", str(self.folder / "mosquitto.conf")])
        while self.process.poll() is None:
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return True
        return False

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextmanager
def broker(folder: Path, *settings: str) -> Iterator[Broker]:
    running = Broker(folder, settings or ("allow_anonymous true",))
    running.start()
    try:
        yield running
    finally:
        running.stop()


class Listener:
    """Hears all topics.

    Attributes:
        latest: the latest message of each topic.
    """

    def __init__(self, port: int) -> None:
        mqtt: Any = import_module("paho.mqtt.client")
        self._came: queue.Queue[tuple[str, bytes, bool]] = queue.Queue()
        self.latest: dict[str, bytes] = {}
        subscribed: queue.Queue[bool] = queue.Queue()
        self._client = client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        client.on_message = lambda client, data, one: self._came.put((one.topic, one.payload, one.retain))
        client.on_subscribe = lambda *_: subscribed.put(True)
        client.connect("127.0.0.1", port)
        client.loop_start()
        client.subscribe("#", qos=1)
        subscribed.get()

    def wait(self, topic: str, payload: bytes | None = None) -> bytes:
        """The next message of a topic, with this payload if one is given."""
        while True:
            came, found, _ = self._came.get()
            self.latest[came] = found
            if came == topic and payload in (None, found):
                return found

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@contextmanager
def listening(port: int) -> Iterator[Any]:
    found = Listener(port)
    try:
        yield found
    finally:
        found.close()
