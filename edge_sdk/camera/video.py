"""Video files and network streams, through OpenCV's FFmpeg."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np

from edge_sdk.camera.base import CameraBase, OnFault, check_fps
from edge_sdk.camera.live import LiveCamera, Shot
from edge_sdk.camera.stream_address import StreamAddress
from edge_sdk.errors import CameraError, ConfigError
from edge_sdk.images.frame import changed_at
from edge_sdk.types import Frame

_DEFAULT_FPS = 25.0
_OPEN_TIMEOUT_S = 10.0
_READ_TIMEOUT_S = 10.0


class VideoFile(CameraBase):
    """Every frame of a video file, in order.

    A frame's capture time is the start plus its position in the video. The start, where it is not given, is the time
    of the file's last change less the video's length: recorders write to the end.

    Args:
        path: a file in any format that FFmpeg reads.
        fps: most frames per second of video; None: all.
        start: capture time of the first frame, with a time zone.
        clock_offset: what is added to the time of the recorder's clock, where `start` is not given.
        realtime: hand out each frame no earlier than the video would show it; frames are still never lost.
        on_fault: called when the rest of a damaged video cannot be read.
        clock: steady seconds.

    Raises:
        CameraError: there is no such file, or it is no video.
        ConfigError: `fps` or `start` cannot be used.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        fps: float | None = None,
        start: datetime | None = None,
        clock_offset: timedelta = timedelta(0),
        realtime: bool = False,
        on_fault: OnFault | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(on_fault)
        self._path = Path(path)
        self._interval_s = 0.0 if fps is None else 1 / check_fps(fps)
        self._realtime = realtime
        self._clock = clock
        if start is not None and start.tzinfo is None:
            raise ConfigError(f"expected the video's start with a time zone; got {start.isoformat()}")
        if not self._path.is_file():
            raise CameraError(f"there is no video file {self._path}")
        capture = self._open()
        fps_stored = capture.get(cv2.CAP_PROP_FPS)
        self._fps = fps_stored if 0.01 <= fps_stored <= 1000 else _DEFAULT_FPS
        self._length = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        capture.release()
        changed = changed_at(self._path, clock_offset) or datetime.now(UTC)
        self._start = start or changed - timedelta(seconds=self._length / self._fps)

    def __iter__(self) -> Iterator[Frame]:
        capture = self._open()
        begun_s = self._clock()
        due_s = position_s = 0.0
        index = 0
        try:
            while not self._stopped.is_set() and capture.grab():
                reported_s = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                # Containers without time stamps report 0 throughout.
                position_s = reported_s if reported_s > position_s or index == 0 else index / self._fps
                index += 1
                # Half a frame of slack: time stamps are rounded to the container's time base.
                if position_s < due_s - 0.5 / self._fps:
                    continue
                due_s = max(due_s + self._interval_s, position_s)
                done, image = capture.retrieve()
                if not done:
                    break
                if self._realtime and self._stopped.wait(max(0.0, begun_s + position_s - self._clock())):
                    return
                rgb = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
                yield Frame(rgb, self._start + timedelta(seconds=position_s), str(self._path))
        finally:
            capture.release()
        # The count in a container's header may be an estimate: a second's worth of frames is not worth a word.
        if not self._stopped.is_set() and (index == 0 or index + self._fps < self._length):
            message = f"{self._path}: expected {self._length} frames; the video can be read up to frame {index}"
            self._report(str(self._path), CameraError(message))

    def _open(self) -> cv2.VideoCapture:
        capture = _open_file(self._path)
        if not capture.isOpened() or capture.get(cv2.CAP_PROP_FRAME_WIDTH) <= 0:
            capture.release()
            raise CameraError(
                f"{self._path} cannot be opened: expected a folder, a JPEG, PNG, WebP, BMP or TIFF image, or a video "
                f"that FFmpeg reads; got {os.path.getsize(self._path)} bytes of something else"
            )
        return capture


def _open_file(path: Path) -> cv2.VideoCapture:
    """OpenCV's reader of a file, whatever its name."""
    name = os.path.abspath(path)  # FFmpeg takes what stands before a colon for a protocol
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes that are no text, of which OpenCV's binding dies
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return cv2.VideoCapture(f"/proc/self/fd/{descriptor}", cv2.CAP_FFMPEG)
        finally:
            os.close(descriptor)
    return cv2.VideoCapture(name, cv2.CAP_FFMPEG)


class StreamGrabber:
    """An open network stream.

    Args:
        url: RTSP, or MJPEG or video over HTTP.
        open_timeout_s: how long to wait for the first answer.
        read_timeout_s: a stream that is silent for this long counts as lost.

    Raises:
        CameraError: the stream cannot be opened.
    """

    def __init__(
        self, url: str, *, open_timeout_s: float = _OPEN_TIMEOUT_S, read_timeout_s: float = _READ_TIMEOUT_S
    ) -> None:
        address = StreamAddress.parse(url)
        self._name = address.name
        self._capture = cv2.VideoCapture(
            address.url,
            cv2.CAP_FFMPEG,
            [
                cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
                round(open_timeout_s * 1000),
                cv2.CAP_PROP_READ_TIMEOUT_MSEC,
                round(read_timeout_s * 1000),
            ],
        )
        if not self._capture.isOpened():
            self._capture.release()
            raise CameraError(f"no video stream at {self._name}: is the address right, and the camera on the network?")

    def read(self) -> Shot:
        """The next picture, timed at its arrival."""
        done, image = self._capture.read()
        if not done:
            raise CameraError(f"the stream {self._name} ended or is silent")
        return Shot(np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8), datetime.now(UTC))

    def close(self) -> None:
        """Close the connection."""
        self._capture.release()


def open_stream(url: str, *, fps: float | None = None, on_fault: OnFault | None = None) -> LiveCamera:
    """Open a network stream as a live camera; what is secret in `url` stays out of the frames' source.

    Raises:
        CameraError: the stream cannot be opened.
        ConfigError: `url` is malformed, or `fps` cannot be used.
    """
    return LiveCamera(StreamAddress.parse(url).name, lambda: StreamGrabber(url), fps=fps, on_fault=on_fault)
