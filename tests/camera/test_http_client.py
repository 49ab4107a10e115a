from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from edge_sdk.camera.http_client import HttpClient
from edge_sdk.camera.stream_address import StreamAddress
from edge_sdk.errors import CameraError


class DigestCamera(http.server.BaseHTTPRequestHandler):
    """Wants a digest of me:se/cret#ß; each nonce serves two requests."""

    protocol_version = "HTTP/1.1"
    nonce = 0

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        kind = type(self)
        header = self.headers["Authorization"]
        good = False
        if header:
            fields = dict(
                pair.strip().split("=", 1) for pair in header.removeprefix("Digest ").split(",") if "=" in pair
            )
            fields = {name: value.strip('"') for name, value in fields.items()}

            def md5(text: str) -> str:
                return hashlib.md5(text.encode()).hexdigest()

            who, what = md5("me:camera:se/cret#ß"), md5(f"GET:{self.path}")
            nc, cnonce = fields["nc"], fields["cnonce"]
            wanted = md5(f"{who}:{kind.nonce}:{nc}:{cnonce}:auth:{what}")
            good = fields["response"] == wanted and int(nc, 16) <= 2 and fields["uri"] == self.path
        self.send_response(200 if good else 401)
        if not good:
            kind.nonce += 1
            self.send_header("WWW-Authenticate", f'Digest realm="camera", nonce="{kind.nonce}", qop="auth"')
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"good" if good else b"evil")


@contextmanager
def digest_camera() -> Iterator[int]:
    kind = type("Handler", (DigestCamera,), {"nonce": 0})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_digest_is_asked_for_once_a_nonce() -> None:
    with digest_camera() as port:
        url = f"http://me:se%2Fcret%23%C3%9F@127.0.0.1:{port}/a b?c=1&d=%C3%9F"
        client = HttpClient(StreamAddress.parse(url), timeout_s=60)
        for _ in range(5):
            client.get()
            assert client.body(10) == b"good"
        client.close()


def test_a_wrong_password_is_said_and_not_shown() -> None:
    with digest_camera() as port:
        client = HttpClient(StreamAddress.parse(f"http://me:wrong@127.0.0.1:{port}/"), timeout_s=60)
        with pytest.raises(CameraError, match="does not accept the user name or password") as caught:
            client.get()
        assert "wrong" not in str(caught.value)


def test_the_environments_proxy_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with digest_camera() as port:
        client = HttpClient(StreamAddress.parse(f"http://me:se%2Fcret%23ß@127.0.0.1:{port}/x"), timeout_s=60)
        assert client.get().status == 200
        client.close()


def test_nobody_there() -> None:
    with digest_camera() as port:
        pass
    client = HttpClient(StreamAddress.parse(f"https://me:cret@127.0.0.1:{port}/x?token=cret"), timeout_s=60)
    with pytest.raises(CameraError, match="cannot be reached or hung up: Connection refused") as caught:
        client.get()
    assert "cret" not in str(caught.value)
