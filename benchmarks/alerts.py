"""What alerts cost: time of the frame loop beside a channel that hangs, and bytes charged for each alert.

python benchmarks/alerts.py
"""

from __future__ import annotations

import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np

from edge_sdk import AlertRule, Alerts, EdgeClassifier, MqttAlerts, Webhook
from edge_sdk.alerts.alert import Alert, Kind
from edge_sdk.alerts.channel import Channel, Fate, Outcome
from edge_sdk.alerts.signature import new_secret
from edge_sdk.alerts.toll import Toll
from edge_sdk.budget.ledger import Ledger
from edge_sdk.security.certificates import Authority
from edge_sdk.testing import FakeChannel

FRAMES, ALERTS = 500, 100


class Hanging(FakeChannel):
    """A channel whose every delivery hangs until it is closed."""

    gate = threading.Event()

    def deliver(self, alert: Alert) -> Outcome:
        """Hang."""
        self.gate.wait()
        return Outcome(Fate.LATER, "hung")

    def close(self) -> None:
        """Let go."""
        self.gate.set()


class Handler(BaseHTTPRequestHandler):
    """Takes every POST."""

    def do_POST(self) -> None:
        """Answer 204."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def frame_times(folder: Path, *, with_alerts: bool) -> np.ndarray[Any, Any]:
    """Milliseconds of `classify`, an alert for each frame."""
    picture = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    times = []
    with ExitStack() as stack:
        edge = stack.enter_context(EdgeClassifier("trailcam", state_dir=folder, threshold=0.0))
        if with_alerts:
            stack.enter_context(Alerts(edge, rules=[AlertRule()], channels=[Hanging()]))
        for _ in range(FRAMES):
            begin_s = time.perf_counter()
            edge.classify(picture)
            times.append(1e3 * (time.perf_counter() - begin_s))
            time.sleep(0.005)  # as a camera does
    return np.array(times[20:])


def charged(folder: Path, channel: Channel) -> float:
    """Bytes charged for one alert, the mean of many."""
    with Ledger(folder / f"{channel.name.replace('/', '_')}.db") as ledger:
        channel.open("cam-1", Toll(ledger))
        for _ in range(ALERTS):
            made = Alert(Kind.CLASS, "cam-1", "fox, 93% sure (device)", datetime.now(UTC), rule="fox")
            if channel.deliver(made).fate is not Fate.DELIVERED:
                sys.exit(f"{channel.name}: not delivered")
        channel.close()
        return ledger.snapshot().bytes_sent / ALERTS


def main() -> None:
    """Print both tables."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        for what, with_alerts in (("without alerts", False), ("an alert each frame, channel hangs", True)) * 2:
            state = Path(tempfile.mkdtemp(dir=folder))
            times = frame_times(state, with_alerts=with_alerts)
            low, high = np.percentile(times, [50, 99])
            print(f"classify, {what:36} median {low:5.2f} ms  99th percentile {high:5.2f} ms")
        pair = (authority := Authority(folder / "keys")).issue_server(["127.0.0.1"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.cert, pair.key)
        for scheme in ("http", "https"):
            server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            if scheme == "https":
                server.socket = context.wrap_socket(server.socket, server_side=True)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            url, ca = f"{scheme}://127.0.0.1:{server.server_port}/hook", authority.files.cert
            hook = Webhook(url, secret=new_secret(), ca=ca if scheme == "https" else None)
            print(f"webhook, {scheme:5}                  {charged(folder, hook):6.0f} bytes an alert")
            server.shutdown()
            server.server_close()
        if broker := shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin"):
            process = subprocess.Popen([broker, "-p", "18830"], stderr=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.kill)
            mqtt = MqttAlerts("127.0.0.1:18830")
            print(f"MQTT, connection shared by {ALERTS}   {charged(folder, mqtt):6.0f} bytes an alert")


if __name__ == "__main__":
    main()
