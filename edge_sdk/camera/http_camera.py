"""Network cameras over HTTP: one picture an answer (a snapshot address), or a stream of JPEGs (MJPEG)."""

from __future__ import annotations

import http.client
import re
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from edge_sdk.camera.http_client import HttpClient
from edge_sdk.camera.live import Grabber, Shot
from edge_sdk.camera.stream_address import StreamAddress
from edge_sdk.errors import CameraError, ImageError
from edge_sdk.images.read import decode_image

MAX_BYTES = 64_000_000
SNAPSHOT_INTERVAL_S = 1.0

_PICTURE = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n|RIFF.{4}WEBP|BM.{4}\0\0\0\0|II\*\0|MM\0\*", re.DOTALL)
_HEADER_LINES = 64
_HEADER_BYTES = 16384
_BOUNDARY_BYTES = 512  # what may follow a picture at once, although the next one is not there yet
_LONGEST_SKIP_S = 0.5


class SnapshotGrabber:
    """Asks for one picture at a time.

    Args:
        client: has asked already: its reply is the first picture.
        name: the camera's, in messages.
        begins: what of that reply was read.
        interval_s: from one request to the next.
        clock: steady seconds.
    """

    def __init__(
        self,
        client: HttpClient,
        name: str,
        begins: bytes,
        interval_s: float,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._name = name
        self._first: bytes | None = begins
        self._interval_s = interval_s
        self._clock = clock
        self._due_s = clock()
        self._interrupted = threading.Event()

    def read(self) -> Shot:
        """The next picture, timed when the camera's answer begins.

        Raises:
            CameraError: no answer.
            ImageError: the answer is no whole picture.
        """
        begins, self._first = self._first, None
        if begins is None:
            if self._interrupted.wait(max(0.0, self._due_s - self._clock())):
                raise CameraError(f"{self._name}: closed")
            self._client.get()
            begins = b""
        self._due_s = max(self._due_s + self._interval_s, self._clock())
        captured_at = datetime.now(UTC)
        return _shot(self._name, begins + self._client.body(MAX_BYTES), captured_at)

    def interrupt(self) -> None:
        """End a wait, from another thread."""
        self._interrupted.set()
        self._client.interrupt()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


class MotionJpegGrabber:
    """Reads JPEGs from a reply of type multipart/x-mixed-replace.

    Args:
        client: it asked.
        reply: what came.
        name: the camera's, in messages.
        begins: what of the reply was read.
        clock: steady seconds.
    """

    def __init__(
        self,
        client: HttpClient,
        reply: http.client.HTTPResponse,
        name: str,
        begins: bytes,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._reply = reply
        self._name = name
        self._begins = begins
        self._clock = clock

    def read(self) -> Shot:
        """The next picture, timed at its arrival; of pictures that wait already, the newest.

        Raises:
            CameraError: the stream ended, is silent or is not one of JPEGs.
            ImageError: one picture is broken.
        """
        self._client.more_time()
        begun_s = self._clock()
        try:
            data, captured_at = self._part()
            while self._client.waiting_bytes() > _BOUNDARY_BYTES and self._clock() - begun_s < _LONGEST_SKIP_S:
                data, captured_at = self._part()
        except (OSError, http.client.HTTPException) as error:
            raise self._client.lost(error) from None
        return _shot(self._name, data, captured_at)

    def interrupt(self) -> None:
        """End a wait, from another thread."""
        self._client.interrupt()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _part(self) -> tuple[bytes, datetime]:
        """One part's content, and when its header came."""
        boundary = self._boundary()
        length: int | None = None
        for _ in range(_HEADER_LINES):
            line = self._line()
            if not line.strip():
                break
            if match := re.fullmatch(rb"content-length:\s*(\d{1,12})\s*", line, re.IGNORECASE):
                length = int(match[1])
        else:
            raise CameraError(f"{self._name}: a picture's header has over {_HEADER_LINES} lines")
        captured_at = datetime.now(UTC)
        if length is None:
            return self._until(boundary), captured_at
        if length > MAX_BYTES:
            raise CameraError(f"{self._name} announced {length / 1e6:.0f} MB for one picture")
        data = self._reply.read(length)
        if len(data) < length:
            raise CameraError(f"{self._name}: the stream ended within a picture")
        return data, captured_at

    def _boundary(self) -> bytes:
        """Read on to the line that begins a part."""
        passed = 0
        while not (line := self._line()).startswith(b"--"):
            passed += len(line)
            if passed > MAX_BYTES:
                raise CameraError(f"{self._name}: the stream has no parts")
        return line.rstrip()

    def _until(self, boundary: bytes) -> bytes:
        """The content of a part of unknown length; the boundary line behind it is left for the next."""
        lines: list[bytes] = []
        size = 0
        while not (line := self._line()).startswith(boundary):
            lines.append(line)
            size += len(line)
            if size > MAX_BYTES:
                raise CameraError(f"{self._name} sent more than {MAX_BYTES / 1e6:g} MB for one picture")
        self._begins = line + self._begins
        return b"".join(lines).removesuffix(b"\n").removesuffix(b"\r")

    def _line(self) -> bytes:
        """Up to a line's end, or `_HEADER_BYTES` of it."""
        if b"\n" in self._begins:
            line, end, self._begins = self._begins.partition(b"\n")
            return line + end
        begun, self._begins = self._begins, b""
        line = begun + self._reply.readline(_HEADER_BYTES)
        if not line:
            raise CameraError(f"the stream {self._name} ended")
        return line


def open_http(address: StreamAddress, *, timeout_s: float, interval_s: float) -> Grabber | None:
    """Ask what is at an address, and open it.

    Args:
        address: with http or https.
        timeout_s: of the first answer, and of each picture.
        interval_s: from one snapshot to the next.

    Returns:
        A grabber of snapshots or of MJPEG; None where the answer may be a video, which is FFmpeg's.

    Raises:
        CameraError: no answer, or neither pictures nor video.
    """
    client = HttpClient(address, timeout_s=timeout_s)
    try:
        reply = client.get()
        kind = (reply.getheader("Content-Type") or "").partition(";")[0].strip().lower()
        try:
            begins = reply.readline(64) if kind.startswith("multipart/") else reply.read(16)
        except (OSError, http.client.HTTPException) as error:
            raise client.lost(error) from None
        if kind.startswith("multipart/") or begins.startswith(b"--"):
            return MotionJpegGrabber(client, reply, address.name, begins)
        if _PICTURE.match(begins):
            return SnapshotGrabber(client, address.name, begins, interval_s)
        if kind.startswith("image/") or not begins:
            raise CameraError(f"{address.name} answered with {'no bytes' if not begins else 'a broken picture'}")
        if kind in ("text/html", "application/json", "text/xml", "application/xml", "application/xhtml+xml"):
            raise CameraError(
                f"expected a picture, MJPEG or video at {address.name}; got {kind}, such as the camera's web page: the "
                "manual names the address of its stream or snapshot"
            )
    except BaseException:
        client.close()
        raise
    client.close()
    return None


def _shot(name: str, data: bytes, captured_at: datetime) -> Shot:
    try:
        return Shot(decode_image(data).image, captured_at)
    except ImageError as error:
        raise ImageError(f"{name}: a broken picture: {error}") from None
