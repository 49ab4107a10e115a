"""Webhooks against a real HTTP server."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from alert_parts import Receiver, alert, receiver

from edge_sdk import Resource, Webhook
from edge_sdk.alerts.channel import Fate
from edge_sdk.alerts.signature import new_secret, verify
from edge_sdk.alerts.toll import Toll
from edge_sdk.budget.ledger import Ledger
from edge_sdk.budget.limits import parse_budget
from edge_sdk.errors import ConfigError
from edge_sdk.security.certificates import Authority

SECRET = new_secret()


@pytest.fixture
def server() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


def test_an_alert_arrives_signed(server: Receiver) -> None:
    made = alert("Füchse 🦊")
    hook = Webhook(f"{server.url}?room=3", secret=SECRET, headers={"X-Place": "forest"})
    outcome = hook.deliver(made)
    assert (outcome.fate, outcome.said) == (Fate.DELIVERED, "204 No Content")
    ((path, headers, body),) = server.requests
    assert path == "/hook?room=3"
    assert verify(SECRET, headers, body, now_s=time.time())
    assert headers["webhook-id"] == made.alert_id
    assert headers["content-type"] == "application/json"
    assert headers["x-place"] == "forest"
    assert json.loads(body)["text"] == "Füchse 🦊"


def test_a_repeat_has_the_same_id_and_a_signature_of_its_own_time(server: Receiver) -> None:
    times = iter([1_800_000_000.0, 1_800_000_060.0])
    hook = Webhook(server.url, secret=SECRET, clock=lambda: next(times))
    made = alert()
    hook.deliver(made)
    hook.deliver(made)
    (_, first, _), (_, second, body) = server.requests
    assert first["webhook-id"] == second["webhook-id"]
    assert first["webhook-signature"] != second["webhook-signature"]
    assert verify(SECRET, second, body, now_s=1_800_000_060.0)


def test_without_a_secret_nothing_is_signed(server: Receiver) -> None:
    Webhook(server.url).deliver(alert())
    assert "webhook-signature" not in server.requests[0][1]


@pytest.mark.parametrize("status", [400, 410, 413, 415, 422])
def test_what_is_refused_for_good(server: Receiver, status: int) -> None:
    server.replies = [(status, {}, b"not \x1b[31m this\n" + b"x" * 100_000)]
    outcome = Webhook(server.url).deliver(alert())
    assert outcome.fate is Fate.REFUSED
    assert outcome.said.startswith(str(status))
    assert r"not \x1b[31m this\n" in outcome.said
    assert len(outcome.said) <= 300


@pytest.mark.parametrize("status", [401, 403, 404, 408, 429, 500, 503])
def test_what_is_tried_again(server: Receiver, status: int) -> None:
    server.replies = [(status, {"Retry-After": "17"}, b"")]
    outcome = Webhook(server.url).deliver(alert())
    assert (outcome.fate, outcome.wait_s) == (Fate.LATER, 17.0)


def test_a_redirect_is_not_followed(server: Receiver) -> None:
    server.replies = [(307, {"Location": f"{server.url}?token=geheimnis"}, b"")]
    outcome = Webhook(server.url).deliver(alert())
    assert outcome.fate is Fate.LATER
    assert "redirects are not followed" in outcome.said
    assert "geheimnis" not in outcome.said
    assert len(server.requests) == 1


@pytest.mark.parametrize("asked", ["soon", "-5", "1e9", "99999999999", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_wait_that_is_no_number_is_none(server: Receiver, asked: str) -> None:
    server.replies = [(503, {"Retry-After": asked}, b"")]
    assert Webhook(server.url).deliver(alert()).wait_s is None


def _answering(content: bytes, *, hold: threading.Event | None = None) -> tuple[str, threading.Thread]:
    """A server that takes one connection, answers `content`, and ends or waits for `hold`."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with closing(listener):
            connection, _ = listener.accept()
        with closing(connection), suppress(OSError):  # the client may leave before all is said
            connection.recv(65_536)
            connection.sendall(content)
            if hold is not None:
                hold.wait()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}/", thread


@pytest.mark.parametrize(
    "content", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 20", b"HTTP/1.1 999999 x\r\n\r\n", b"\xff" * 70_000]
)
def test_what_is_no_http_is_tried_again(content: bytes) -> None:
    url, thread = _answering(content)
    assert Webhook(url).deliver(alert()).fate is Fate.LATER
    thread.join()


def test_a_server_that_says_nothing_or_trickles_holds_nobody_up() -> None:
    hold = threading.Event()
    url, thread = _answering(b"HTTP/1.1 20", hold=hold)
    outcome = Webhook(url, timeout_s=0.2).deliver(alert())
    assert (outcome.fate, outcome.said) == (Fate.LATER, "no answer within 0.2 s")
    hold.set()
    thread.join()


def test_closing_ends_a_delivery_that_waits() -> None:
    hold = threading.Event()
    url, server = _answering(b"HTTP/1.1 20", hold=hold)
    hook = Webhook(url, timeout_s=600)
    outcomes: list[Any] = []
    delivery = threading.Thread(target=lambda: outcomes.append(hook.deliver(alert())))
    delivery.start()
    while hook._plain is None:
        delivery.join(0.001)
    hook.close()
    delivery.join()
    assert outcomes[0].fate is Fate.LATER
    hold.set()
    server.join()


def test_nobody_there() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    outcome = Webhook(f"http://127.0.0.1:{port}/").deliver(alert())
    assert (outcome.fate, outcome.said) == (Fate.LATER, "cannot be reached: Connection refused")


def test_certificates_are_checked(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    good, other = authority.issue_server(["127.0.0.1"]), Authority(tmp_path / "other")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(good.cert, good.key)
    with receiver(context) as server:
        assert Webhook(server.url, ca=authority.files.cert).deliver(alert()).fate is Fate.DELIVERED
        for ca in (None, other.files.cert):
            outcome = Webhook(server.url, ca=ca).deliver(alert())
            assert outcome.fate is Fate.LATER
            assert "certificate" in outcome.said
        elsewhere = Webhook(server.url.replace("127.0.0.1", "localhost"), ca=authority.files.cert).deliver(alert())
        assert "certificate" in elsewhere.said
        assert len(server.requests) == 1


def test_its_bytes_count_against_the_upload_budget_and_wait_for_room(server: Receiver, tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db", budgets=[parse_budget("6kB/day", Resource.UPLOAD)]) as ledger:
        hook = Webhook(server.url)
        hook.open("cam-1", Toll(ledger))
        assert hook.deliver(alert()).fate is Fate.DELIVERED
        spent = ledger.snapshot().spent(Resource.UPLOAD)
        assert 1_000 < spent < 5_000
        fates = [hook.deliver(alert()) for _ in range(10)]
        assert fates[-1].said == "the upload budget has no room for it now"
        assert len(server.requests) < 11
        assert ledger.snapshot().spent(Resource.UPLOAD) <= 6_000


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://a/b",
        "file:///etc/passwd",
        "http://",
        "http://[::1",
        "http://a b/",
        "http://a/\r\nX: y",
        "http://a:99999/",
        "http://a:0/",
        "http://a..b/",
        "https://300.1.1.1/",
        "https://a,b/",
        "http://ä/",
    ],
)
def test_what_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="expected a webhook as https://host/path"):
        Webhook(url)


def test_what_else_cannot_be_used_is_refused_without_showing_secrets() -> None:
    for settings, message in (
        ({"url": "https://user:geheim@host/"}, "without user and password"),
        ({"secret": "geheim"}, "webhook secret"),
        ({"timeout_s": 0.0}, "seconds above 0"),
        ({"headers": {"X": "a\nb"}}, "printable ASCII"),
        ({"url": "http://host/", "headers": {"Authorization": "geheim"}}, "https:// where headers"),
        ({"ca": "/nothing/here.pem"}, "ca"),
    ):
        with pytest.raises(ConfigError, match=message) as caught:
            Webhook(**{"url": "https://host/", **settings})  # type: ignore[arg-type]
        assert "geheim" not in str(caught.value)


def test_its_name_shows_no_secret_of_the_path() -> None:
    assert Webhook("https://host:8443/services/T0/geheim?key=geheim").name == "webhook https://host:8443"
