from __future__ import annotations

import http.server
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import count, islice

import pytest
from stream_servers import jpeg

from edge_sdk.camera.base import Fault
from edge_sdk.camera.http_camera import MotionJpegGrabber, SnapshotGrabber, open_http
from edge_sdk.camera.live import Backoff, Grabber, LiveCamera
from edge_sdk.camera.stream import open_stream
from edge_sdk.camera.stream_address import StreamAddress
from edge_sdk.errors import CameraError, ImageError

Answer = Callable[[http.server.BaseHTTPRequestHandler], None]
PICTURE = jpeg(60)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    connections = 0

    def get_request(self) -> tuple[socket.socket, object]:
        self.connections += 1
        return super().get_request()


@contextmanager
def camera(answer: Answer, protocol: str = "HTTP/1.1") -> Iterator[Server]:
    """A camera on loopback that answers each GET so."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = protocol

        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:
            with suppress(OSError):
                answer(self)

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def send(
    handler: http.server.BaseHTTPRequestHandler,
    body: bytes = PICTURE,
    kind: str | None = "image/jpeg",
    status: int = 200,
    length: int | None = None,
    **headers: str,
) -> None:
    handler.send_response(status)
    if kind is not None:
        handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def opened(server: Server, who: str = "", path: str = "/snap", timeout_s: float = 60.0) -> Grabber:
    url = f"http://{who}127.0.0.1:{server.server_port}{path}"
    found = open_http(StreamAddress.parse(url), timeout_s=timeout_s, interval_s=0.0)
    assert found is not None
    return found


@pytest.mark.parametrize("kind", ["image/jpeg", "image/jpg", "application/octet-stream", "text/html", None])
def test_a_picture_is_a_snapshot_whatever_the_camera_calls_it_and_the_connection_is_kept(kind: str | None) -> None:
    with camera(lambda handler: send(handler, kind=kind)) as server:
        grabber = opened(server)
        assert isinstance(grabber, SnapshotGrabber)
        for _ in range(3):
            assert abs(int(grabber.read().view.mean()) - 60) <= 2
        grabber.close()
        assert server.connections == 1


def test_without_a_length_and_in_chunks() -> None:
    def to_the_end(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(PICTURE)
        handler.close_connection = True

    def chunked(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for start in range(0, len(PICTURE), 7):
            part = PICTURE[start : start + 7]
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
        handler.wfile.write(b"0\r\n\r\n")

    for answer in (to_the_end, chunked):
        with camera(answer) as server:
            grabber = opened(server)
            assert [grabber.read().view.shape for _ in range(2)] == [(48, 64, 3)] * 2
            grabber.close()


def test_a_broken_answer_is_one_picture_lost() -> None:
    number = count()

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        send(handler, PICTURE if next(number) != 1 else PICTURE[:300])

    with camera(answer) as server:
        grabber = opened(server, who="me:cret@", path="/snap?token=cret")
        grabber.read()
        with pytest.raises(ImageError, match=r"127\.0\.0\.1.*a broken picture") as caught:
            grabber.read()
        assert "cret" not in str(caught.value)
        grabber.read()
        grabber.close()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda handler: send(handler, b"<html>log in</html>", "text/html"), "got text/html, such as the camera's web"),
        (lambda handler: send(handler, b"no picture", "image/jpeg"), "answered with a broken picture"),
        (lambda handler: send(handler, b"", "image/jpeg"), "answered with no bytes"),
        (lambda handler: send(handler, status=404), "answered 404 Not Found"),
        (lambda handler: send(handler, status=599), "answered 599"),
        (lambda handler: send(handler, status=302, Location="/snap"), "over 5 redirects"),
        (lambda handler: send(handler, status=302, Location="file:///etc/passwd"), "leads to an address that cannot"),
        (lambda handler: send(handler, status=302, Location="http://[cret"), "leads to an address that cannot"),
        (lambda handler: send(handler, status=401), "wants a user name and password"),
        (lambda handler: handler.wfile.write(b"cret\r\n\r\n"), "gave no proper reply of HTTP"),
        (lambda handler: handler.wfile.write(b""), "cannot be reached or hung up"),
    ],
)
def test_what_is_no_camera(answer: Answer, said: str) -> None:
    def once(handler: http.server.BaseHTTPRequestHandler) -> None:
        answer(handler)
        handler.close_connection = True

    with camera(once) as server, pytest.raises(CameraError, match=said) as caught:
        opened(server, path="/snap?pwd=cret")
    assert "cret" not in str(caught.value)


def test_a_picture_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_sdk.camera.http_camera.MAX_BYTES", 100_000)

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(PICTURE)
        while True:
            handler.wfile.write(bytes(65536))

    with camera(answer) as server:
        grabber = opened(server)
        with pytest.raises(CameraError, match=r"more than 0\.1 MB for one picture"):
            grabber.read()
        grabber.close()


def test_a_picture_that_trickles_or_never_comes_is_given_up_in_time() -> None:
    ended = threading.Event()

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        handler.wfile.write(PICTURE)
        while not ended.wait(0.02):  # each byte comes long before the time-out
            handler.wfile.write(b"x")

    with camera(answer) as server:
        with (
            pytest.raises(CameraError, match=r"is silent: nothing whole came within 0\.3 s"),
            closing(opened(server, timeout_s=0.3)) as grabber,
        ):
            grabber.read()
        ended.set()


def test_a_picture_that_is_cut_short() -> None:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        send(handler, PICTURE[:300], length=len(PICTURE))
        handler.close_connection = True

    with camera(answer) as server:
        grabber = opened(server)
        with pytest.raises(CameraError, match=r"broke off: \d+ bytes of the picture are missing"):
            grabber.read()
        grabber.close()


def test_redirects_are_followed_without_the_password_to_another_host() -> None:
    seen: list[tuple[str, str | None]] = []

    def there(handler: http.server.BaseHTTPRequestHandler) -> None:
        seen.append((handler.path, handler.headers["Authorization"]))
        send(handler)

    with camera(there) as other:
        port = other.server_port

        def here(handler: http.server.BaseHTTPRequestHandler) -> None:
            if handler.headers["Authorization"] is None:
                send(handler, status=401, WWW_Authenticate='Basic realm="x"')
            else:
                send(handler, status=307, Location=f"http://you:too@127.0.0.1:{port}/real?a=1")

        with camera(here) as server:
            grabber = opened(server, who="me:cret@")
            grabber.read()
            grabber.close()
    assert seen == [("/real?a=1", None)]


def part(data: bytes, head: bytes = b"Content-Type: image/jpeg\r\n", boundary: bytes = b"--B") -> bytes:
    return boundary + b"\r\n" + head + b"\r\n" + data + b"\r\n"


LENGTH = b"content-length: %d\r\n" % len(PICTURE)


@pytest.mark.parametrize(
    ("kind", "stream"),
    [
        ("multipart/x-mixed-replace; boundary=B", part(PICTURE, LENGTH) * 3),
        ("multipart/x-mixed-replace; boundary=--B", part(PICTURE) * 3 + b"--B--\r\n"),
        ("multipart/x-mixed-replace", b"a preamble\r\n\r\n" + part(PICTURE, LENGTH) * 3),
        ("multipart/x-mixed-replace;boundary=other", part(PICTURE, b"", b"--mine") * 3 + b"--mine\r\n"),
        ("text/plain", part(PICTURE, LENGTH) * 3),
        (None, part(PICTURE, LENGTH) * 3),
    ],
)
def test_mjpeg_in_the_forms_that_cameras_send(kind: str | None, stream: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_sdk.camera.http_camera._LONGEST_SKIP_S", 0.0)

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        if kind:
            handler.send_header("Content-Type", kind)
        handler.end_headers()
        handler.wfile.write(stream)
        handler.close_connection = True

    with camera(answer, "HTTP/1.0") as server:
        grabber = opened(server)
        assert isinstance(grabber, MotionJpegGrabber)
        assert [grabber.read().view.shape for _ in range(3)] == [(48, 64, 3)] * 3
        with pytest.raises(CameraError, match="ended"):
            grabber.read()
        grabber.close()


def test_of_pictures_that_wait_already_the_newest_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_sdk.camera.http_camera._LONGEST_SKIP_S", 1000.0)
    all_sent, over = threading.Event(), threading.Event()

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "multipart/x-mixed-replace; boundary=B")
        handler.end_headers()
        for value in (20, 60, 100, 140, 180):
            data = jpeg(value)
            handler.wfile.write(part(data, b"Content-Length: %d\r\n" % len(data)))
        all_sent.set()
        over.wait()

    with camera(answer, "HTTP/1.0") as server:
        grabber = opened(server)
        all_sent.wait()
        values = [int(grabber.read().view.mean())]
        over.set()
        with suppress(CameraError):
            values.append(int(grabber.read().view.mean()))
        grabber.close()
    assert abs(values[-1] - 180) <= 2


def test_a_stream_that_falls_silent_is_lost_and_comes_back() -> None:
    ended = threading.Event()
    number = count(1)

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "multipart/x-mixed-replace; boundary=B")
        handler.end_headers()
        data = jpeg(10 * next(number))
        handler.wfile.write(part(data, b"Content-Length: %d\r\n" % len(data)))
        ended.wait()

    faults: list[Fault] = []
    with camera(answer, "HTTP/1.0") as server:
        address = StreamAddress.parse(f"http://127.0.0.1:{server.server_port}/v")

        def connect() -> Grabber:
            grabber = open_http(address, timeout_s=0.3, interval_s=1.0)
            assert grabber is not None
            return grabber

        with LiveCamera("cam", connect, on_fault=faults.append, backoff=Backoff(0.0, 0.0)) as live:
            values = [int(frame.image.mean()) for frame in islice(live, 2)]
        ended.set()
    assert values[1] - values[0] >= 6  # of another connection
    assert any("is silent: nothing whole came within 0.3 s" in str(fault.error) for fault in faults)


def test_closing_ends_the_wait_for_the_next_snapshot() -> None:
    with camera(send) as server:
        live = open_stream(f"http://127.0.0.1:{server.server_port}/snap", fps=0.0001)
        (frame,) = islice(live, 1)
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/snap", frame.source)
        live.close()
        live._thread.join()  # which `close` waits for 5 s at the most
