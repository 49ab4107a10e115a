"""A video file that is decoded in a process of its own: a decoder that crashes or hangs is an exception here."""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_sdk.camera.container import Container
from edge_sdk.camera.video_worker import MESSAGE, ORDER, SLOTS
from edge_sdk.errors import CameraError
from edge_sdk.images.read import MAX_PIXELS
from edge_sdk.types import Image

_SILENT_S = 30.0
_START = """
import json, sys
sys.path[:], arguments = json.loads(sys.argv[1])
from edge_sdk.camera.video_worker import main
main(*arguments)
"""
# Only files are opened, whatever a playlist names; errors are what is counted.
_ENVIRONMENT = {
    "OPENCV_FFMPEG_CAPTURE_OPTIONS": "protocol_whitelist;file",
    "OPENCV_FFMPEG_LOGLEVEL": "16",
    "OPENCV_LOG_LEVEL": "SILENT",
}


class DecoderDied(CameraError):
    """The process that decodes a video crashed or hung."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A decoded frame.

    Attributes:
        image: `uint8 (H, W, 3)` RGB.
        position_s: seconds from the start of the video.
        lost_s: seconds of video that are missing right before it.
    """

    image: Image
    position_s: float
    lost_s: float


@dataclass(frozen=True, slots=True)
class End:
    """The end of what can be decoded.

    Attributes:
        position_s: seconds from the start of the video.
        lost_s: seconds that are missing before and behind it; None: some are, nobody knows how many.
    """

    position_s: float
    lost_s: float | None


class VideoProcess:
    """A video file, opened in a process of its own. Used up by one `read`.

    Args:
        path: the file.
        container: what was read of it.
        silent_s: a decoder that says nothing for this long hangs.

    Raises:
        CameraError: the file is no video, or its frames are too large.
        DecoderDied: the decoder crashed or hung while it opened the file.
    """

    def __init__(self, path: Path, container: Container, *, silent_s: float = _SILENT_S) -> None:
        self._silent_s = silent_s
        self._map: mmap.mmap | None = None
        try:
            self._process, self._memory = _start(path, container)
        except OSError as error:
            raise CameraError(f"{path} cannot be decoded: {error.strerror or error}") from error
        self._end = weakref.finalize(self, _end, self._process, self._memory)
        self.length_s = 0.0
        """Length of the video as its container tells it; 0: it does not."""
        self.position_s = 0.0
        """How far decoding has come."""
        try:
            kind, self.length_s, _, _, _, width, height = self._receive()
        except BaseException:
            self.close()
            raise
        if kind == b"I":
            return
        self.close()
        if kind == b"L":
            raise CameraError(
                f"{path}: expected video of at most {MAX_PIXELS / 1e6:g} megapixels; got {width}x{height}"
            )
        raise CameraError(_refusal(path, container))

    def read(self, *, behind_s: float | None = None, interval_s: float = 0.0) -> Iterator[Picture | End]:
        """Every frame, then the end.

        Args:
            behind_s: start behind this position; None: at the beginning.
            interval_s: least seconds of video between two frames; 0: all.

        Raises:
            DecoderDied: the decoder crashed or hung.
        """
        self.position_s = behind_s or 0.0
        self._send(ORDER.pack(-1.0 if behind_s is None else behind_s, interval_s))
        while True:
            kind, one, other, size, slot, width, height = self._receive()
            self.position_s = max(self.position_s, one)
            if kind == b"F":
                image = self._take(size, slot, width, height)
                self._send(bytes([slot]))
                yield Picture(image, one, other)
            elif kind == b"E":
                yield End(one, None if np.isnan(other) else other)
                return

    def close(self) -> None:
        """End the process, from any thread."""
        self._end()

    def _take(self, size: int, slot: int, width: int, height: int) -> Image:
        if self._map is None or len(self._map) != SLOTS * size:
            self._map = mmap.mmap(self._memory, SLOTS * size, prot=mmap.PROT_READ)
        room = np.frombuffer(self._map, np.uint8, width * height * 3, slot * size)
        return room.reshape(height, width, 3).copy()

    def _send(self, data: bytes) -> None:
        stream = self._process.stdin
        assert stream is not None
        try:
            stream.write(data)
        except (OSError, ValueError):  # it died, which the next message tells, or was closed
            return

    def _receive(self) -> tuple[bytes, float, float, int, int, int, int]:
        stream = self._process.stdout
        assert stream is not None
        data = b""
        until_s = time.monotonic() + self._silent_s
        try:
            poll = select.poll()
            poll.register(stream.fileno(), select.POLLIN)
            while len(data) < MESSAGE.size:
                if not poll.poll(max(0.0, until_s - time.monotonic()) * 1000):
                    self.close()
                    raise DecoderDied(f"the decoder hung: it said nothing for {self._silent_s:g} s")
                part = os.read(stream.fileno(), MESSAGE.size - len(data))
                if not part:
                    break
                data += part
        except (OSError, ValueError):  # closed by another thread
            data = b""
        if len(data) < MESSAGE.size:
            raise DecoderDied(f"the decoder {self._how_it_ended()}")
        return MESSAGE.unpack(data)

    def _how_it_ended(self) -> str:
        try:
            code = self._process.wait(5)
        except subprocess.TimeoutExpired:
            code = 0
        self.close()
        if code >= 0:
            return f"ended (exit status {code})"
        try:
            return f"crashed ({signal.Signals(-code).name})"
        except ValueError:
            return f"crashed (signal {-code})"


def _start(path: Path, container: Container) -> tuple[subprocess.Popen[bytes], int]:
    """The process, and the descriptor of the memory that it shares."""
    name, file = os.path.abspath(path), None
    memory = _scratch("pictures")
    try:
        with contextlib.ExitStack() as stack:
            complaints = _scratch("complaints")
            stack.callback(os.close, complaints)
            try:
                name.encode()
            except UnicodeEncodeError:  # bytes that are no text, of which OpenCV's binding dies
                file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                stack.callback(os.close, file)
                name = f"/proc/self/fd/{file}"
            arguments = [sys.path, [name, container.kind, MAX_PIXELS, memory]]
            process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START, json.dumps(arguments)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                bufsize=0,
                pass_fds=[memory] if file is None else [memory, file],
                env={**os.environ, **_ENVIRONMENT},
            )
    except BaseException:
        os.close(memory)
        raise
    return process, memory


def _refusal(path: Path, container: Container) -> str:
    if not container.has_index:
        return (
            f"{path} cannot be opened: its index (moov) is missing, since the recording was cut off before it ended; "
            "a tool such as untrunc may rebuild it"
        )
    try:
        size = os.path.getsize(path)
    except OSError as error:
        return f"{path} cannot be opened: {error.strerror or error}"
    return (
        f"{path} cannot be opened: expected a folder, a JPEG, PNG, WebP, BMP or TIFF image, or a video "
        f"that FFmpeg reads; got {size} bytes of something else"
    )


def _scratch(name: str) -> int:
    """A file without a name, in memory where the system allows it."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _end(process: subprocess.Popen[bytes], memory: int) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
    os.close(memory)
