"""Network cameras: RTSP and video over HTTP through OpenCV's FFmpeg; snapshots and MJPEG over HTTP without it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np

from edge_sdk.camera.base import OnFault, check_fps
from edge_sdk.camera.http_camera import SNAPSHOT_INTERVAL_S, open_http
from edge_sdk.camera.live import Grabber, LiveCamera, Shot
from edge_sdk.camera.stillness import FROZEN_S
from edge_sdk.camera.stream_address import StreamAddress
from edge_sdk.errors import CameraError
from edge_sdk.images.opencv_log import ERROR, log_level, set_log_level

TIMEOUT_S = 10.0
_STALL_S = 1.0
_LONGEST_LATE_S = 15.0


class StreamGrabber:
    """An open video stream.

    Args:
        url: RTSP, or video over HTTP.
        open_timeout_s: how long to wait for the first answer.
        read_timeout_s: a stream that is silent for this long counts as lost.
        clock: steady seconds.

    Raises:
        CameraError: the stream cannot be opened.
        ConfigError: `url` is malformed.
    """

    def __init__(
        self,
        url: str,
        *,
        open_timeout_s: float = TIMEOUT_S,
        read_timeout_s: float = TIMEOUT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        address = StreamAddress.parse(url)
        self._name = address.name
        self._timeout_s = read_timeout_s
        self._clock = clock
        self._lateness = Lateness()
        _keep_quiet()
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
        """The next picture, timed at its arrival; one that was held up on its way is older by so much."""
        begun_s = self._clock()
        done, image = self._capture.read()
        now_s, now = self._clock(), datetime.now(UTC)
        # After its time-out FFmpeg hands out what its decoder still holds: pictures of before the silence.
        if now_s - begun_s >= 0.95 * self._timeout_s:
            raise CameraError(f"the stream {self._name} is silent: no picture came within {self._timeout_s:g} s")
        if not done:
            raise CameraError(f"the stream {self._name} ended or is silent")
        late_s = self._lateness.of(self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000, now_s)
        rgb = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
        return Shot(rgb, now - timedelta(seconds=late_s))

    def close(self) -> None:
        """Close the connection."""
        self._capture.release()


class Lateness:
    """How late a picture arrives after a stall, by the stream's own clock.

    A stream that stood still for 5 s goes on with pictures of 5 s ago, in a burst. Their positions in the stream tell:
    where arrival advanced by 5 s and the position by 0.1 s, the picture is 4.9 s old. Positions are asked after stalls
    alone, since many cameras count them at a nominal rate.
    """

    def __init__(self) -> None:
        self._position_s = self._arrival_s = self._late_s = self._until_s = 0.0

    def of(self, position_s: float, arrival_s: float) -> float:
        """Seconds by which this picture is late.

        Args:
            position_s: in the stream.
            arrival_s: on a steady clock.
        """
        step_s, wait_s = position_s - self._position_s, arrival_s - self._arrival_s
        is_first = self._arrival_s == 0.0
        self._position_s, self._arrival_s = position_s, arrival_s
        if is_first or step_s <= 0:  # the stream's clock began again, or there is none
            self._late_s = 0.0
        elif self._late_s > 0 or wait_s > _STALL_S:
            if self._late_s == 0:
                self._until_s = arrival_s + _LONGEST_LATE_S
            late_s = self._late_s + wait_s - step_s
            self._late_s = late_s if late_s > 0.25 and arrival_s < self._until_s else 0.0
        return self._late_s


def open_stream(
    url: str,
    *,
    fps: float | None = None,
    on_fault: OnFault | None = None,
    wait_for_camera: bool = False,
    timeout_s: float = TIMEOUT_S,
    frozen_s: float | None = FROZEN_S,
) -> LiveCamera:
    """Open a network camera as a live camera; what is secret in `url` stays out of the frames' source.

    What an HTTP address is, its answer tells, at each connection: one picture is a snapshot address and is asked for
    again, `fps` times a second (without `fps`, once a second); a multipart answer is MJPEG; all else is FFmpeg's.

    Args:
        url: with rtsp, rtsps, http or https.
        fps: as in `open_camera`.
        on_fault: as in `open_camera`.
        wait_for_camera: as in `open_camera`.
        timeout_s: a camera that is silent for this long counts as lost.
        frozen_s: a picture that has been the same for this long is a fault; None: never.

    Raises:
        CameraError: the camera cannot be opened.
        ConfigError: `url` is malformed, or `fps` cannot be used.
    """
    address = StreamAddress.parse(url)
    interval_s = SNAPSHOT_INTERVAL_S if fps is None else 1 / check_fps(fps)

    def connect() -> Grabber:
        grabber = None
        if address.scheme in ("http", "https"):
            grabber = open_http(address, timeout_s=timeout_s, interval_s=interval_s)
        return grabber or StreamGrabber(url, open_timeout_s=timeout_s, read_timeout_s=timeout_s)

    return LiveCamera(
        address.name,
        connect,
        fps=fps,
        on_fault=on_fault,
        wait_for_camera=wait_for_camera,
        silent_s=3 * timeout_s + 2 * interval_s,
        frozen_s=frozen_s,
    )


def _keep_quiet() -> None:
    """Keep FFmpeg's remarks on streams off the terminal, unless the environment asks for them.

    What matters of them comes as faults. OpenCV reads the variable when it opens its first video.
    """
    if not any(name in os.environ for name in ("OPENCV_FFMPEG_LOGLEVEL", "OPENCV_FFMPEG_DEBUG")):
        os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"
    if "OPENCV_LOG_LEVEL" not in os.environ and log_level() > ERROR:
        set_log_level(ERROR)
