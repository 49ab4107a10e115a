"""Small real network cameras: MJPEG over HTTP, and MJPEG over RTSP with RTP inside the same TCP connection."""

from __future__ import annotations

import itertools
import re
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np

WIDTH, HEIGHT = 64, 48


def jpeg(value: int) -> bytes:
    """A plain grey picture."""
    return cv2.imencode(".jpg", np.full((HEIGHT, WIDTH, 3), value, np.uint8))[1].tobytes()


class StreamServer(socketserver.ThreadingTCPServer):
    """Serves pictures whose grey value counts the connections (20, 40, ...), `per_connection` of them to each client.

    A client that has them all is hung up on; with `per_connection` None it gets them until it hangs up.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, handler: type[socketserver.BaseRequestHandler], per_connection: int | None) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.per_connection = per_connection
        self.connections = 0
        self.ending = threading.Event()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def pictures(self) -> Iterator[bytes]:
        """The pictures for one more connection, at 100 a second."""
        self.connections += 1
        picture = jpeg(min(20 * self.connections, 240))
        for _ in itertools.count() if self.per_connection is None else range(self.per_connection):
            if self.ending.wait(0.01):
                return
            yield picture

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no error."""


class MjpegHandler(socketserver.StreamRequestHandler):
    server: StreamServer

    def handle(self) -> None:
        while self.rfile.readline().strip():
            pass
        self.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n")
        for picture in self.server.pictures():
            self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(picture))
            self.wfile.write(picture + b"\r\n")


class RtspHandler(socketserver.StreamRequestHandler):
    """RTSP 1.0 (RFC 2326) with interleaved RTP/JPEG (RFC 2435)."""

    server: StreamServer

    def handle(self) -> None:
        while line := self.rfile.readline():
            method = line.split()[0]
            headers = dict(re.findall(rb"([\w-]+): *([^\r\n]*)", b"".join(iter(self.rfile.readline, b"\r\n"))))
            replies = {
                b"OPTIONS": b"Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n\r\n",
                b"SETUP": b"Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n\r\n",
                b"PLAY": b"Session: 1\r\n\r\n",
            }
            description = (
                b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP 26\r\na=control:0\r\n"
            )
            reply = replies.get(method, b"\r\n")
            if method == b"DESCRIBE":
                reply = b"Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n" % len(description) + description
            self.wfile.write(b"RTSP/1.0 200 OK\r\nCSeq: %s\r\n" % headers[b"CSeq"] + reply)
            if method == b"PLAY":
                for number, picture in enumerate(self.server.pictures()):
                    self.wfile.write(self._packet(number, picture))
                return

    def _packet(self, number: int, picture: bytes) -> bytes:
        tables = b"".join(table[1:] for table in re.findall(rb"\xff\xdb\0\x43(.{65})", picture, re.DOTALL))
        scan = picture.index(b"\xff\xda")
        data = picture[scan + 2 + struct.unpack_from(">H", picture, scan + 2)[0] : -2]
        payload = struct.pack(">B3sBBBB", 0, bytes(3), 1, 255, WIDTH // 8, HEIGHT // 8)
        payload += struct.pack(">BBH", 0, 0, len(tables)) + tables + data
        packet = struct.pack(">BBHII", 0x80, 0x80 | 26, number & 0xFFFF, number * 900, 1) + payload
        return struct.pack(">cBH", b"$", 0, len(packet)) + packet


@contextmanager
def serving(
    handler: type[socketserver.BaseRequestHandler], per_connection: int | None = None
) -> Iterator[StreamServer]:
    """Run a server on a free port of loopback."""
    with StreamServer(handler, per_connection) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.ending.set()
            server.shutdown()
            thread.join()
