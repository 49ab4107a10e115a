"""What the tests of alerts share: answers, and a receiver of webhooks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from edge_sdk import Answer, Origin, Reason
from edge_sdk.alerts.alert import Alert, Kind
from edge_sdk.types import new_frame_id

NOON = datetime(2027, 1, 15, 12, tzinfo=UTC)


def answer(label: str | None = "fox", confidence: float = 0.9, *, final: bool = True, frame_id: str = "") -> Answer:
    return Answer(frame_id or new_frame_id(), NOON, "test", label, confidence, Origin.DEVICE, final, Reason.CONFIDENT)


def alert(text: str = "fox", rule: str = "fox") -> Alert:
    return Alert(Kind.CLASS, "cam-1", text, NOON, rule=rule)


def until(condition: Callable[[], bool]) -> None:
    """Wait for what a thread does without telling."""
    while not condition():
        threading.Event().wait(0.001)


class Receiver:
    """Takes webhooks on a real socket.

    Attributes:
        requests: path, headers with lower-case names, and body of each.
        replies: status and headers of the replies, one after the other; then 204.
        certificate: what it shows, where it speaks TLS.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.replies: list[tuple[int, dict[str, str], bytes]] = []
        self.arrived = threading.Semaphore(0)
        self.url = ""


@contextmanager
def receiver(context: Any = None) -> Iterator[Receiver]:
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            status, headers, text = found.replies.pop(0) if found.replies else (204, {}, b"")
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)
            found.arrived.release()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # clients that go away

    server = Server(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    found.url = f"{'http' if context is None else 'https'}://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
