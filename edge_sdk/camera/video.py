"""Video files, through OpenCV's FFmpeg."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

from edge_sdk.camera.base import CameraBase, OnFault, check_fps
from edge_sdk.camera.container import read_container
from edge_sdk.camera.video_process import DecoderDied, End, Picture, VideoProcess
from edge_sdk.errors import CameraError, ConfigError
from edge_sdk.images.frame import changed_at
from edge_sdk.types import Frame

_ONE_STRETCH_S = 1.0
_FIRST_STEP_S = 1.0
_MOST_DEATHS = 8


class VideoFile(CameraBase):
    """Every frame of a video file that can be decoded, in order.

    A frame's capture time is the start plus its position in the video. The start, where it is not given, is the
    creation time that the container holds (MP4, MOV, 3GP, Matroska, AVI), else the time of the file's last change less
    the video's length: recorders write to the end.

    Decoding runs in a process of its own. Where the decoder crashes or hangs, the stretch is left out and what comes
    behind it is decoded.

    Args:
        path: a file in any format that FFmpeg reads.
        fps: most frames per second of video; None: all.
        start: capture time of the first frame, with a time zone.
        zone: where the recorder is, for creation times without a zone; None: the zone of this machine.
        clock_offset: what is added to the time of the recorder's clock, where `start` is not given.
        realtime: hand out each frame no earlier than the video would show it; frames are still never lost.
        on_fault: called with each stretch of the video that is missing; the message says how many seconds.
        clock: steady seconds.

    Raises:
        CameraError: there is no such file, it is no video, or its decoder crashes at the start.
        ConfigError: `fps` or `start` cannot be used.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        fps: float | None = None,
        start: datetime | None = None,
        zone: tzinfo | None = None,
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
        try:
            self._container = read_container(self._path, zone, clock_offset)
        except OSError as error:
            raise CameraError(f"{self._path}: cannot be read: {error.strerror or error}") from error
        try:
            self._opened: VideoProcess | None = VideoProcess(self._path, self._container)
        except DecoderDied as error:
            raise CameraError(f"{self._path}: {error}") from None
        self._length_s = self._opened.length_s
        self._running: list[VideoProcess] = [self._opened]
        self._start = start or self._container.created_at or self._ended_at(clock_offset)

    def __iter__(self) -> Iterator[Frame]:
        begun_s = self._clock()
        losses = _Losses()
        reached_s = 0.0
        try:
            for event in self._events(losses):
                if self._stopped.is_set():
                    return
                if isinstance(event, End):
                    losses.add(event.position_s + (event.lost_s or 0.0), event.lost_s)
                    continue
                reached_s = event.position_s
                losses.add(reached_s, event.lost_s)
                self._tell(losses.before(event.position_s))
                if self._realtime and self._stopped.wait(max(0.0, begun_s + event.position_s - self._clock())):
                    return
                yield Frame(event.image, self._start + timedelta(seconds=event.position_s), str(self._path))
        except CameraError as error:  # it vanished meanwhile
            losses.why = str(error)
            losses.add(reached_s, None)
        if not self._stopped.is_set():
            self._tell(losses.before(None))

    def close(self) -> None:
        """End the iteration and the process that decodes, from any thread."""
        super().close()
        for process in list(self._running):
            process.close()

    def _events(self, losses: _Losses) -> Iterator[Picture | End]:
        """What can be decoded; behind a crash it goes on a second further, then two, four and so on."""
        behind_s: float | None = None
        step_s, deaths, reached_s = _FIRST_STEP_S / 2, 0, 0.0
        while not self._stopped.is_set():
            process, self._opened = self._opened, None
            position_s = reached_s
            try:
                if process is None:
                    process = VideoProcess(self._path, self._container)
                    self._running.append(process)
                yield from process.read(behind_s=behind_s, interval_s=self._interval_s)
                return
            except DecoderDied as error:
                position_s = position_s if process is None else process.position_s
                losses.why = str(error)
            finally:
                if process is not None:
                    process.close()
                    self._running.remove(process)
            deaths += 1
            step_s = _FIRST_STEP_S if position_s > reached_s + step_s else 2 * step_s
            reached_s = max(reached_s, position_s)
            behind_s = reached_s + step_s
            if deaths == _MOST_DEATHS or (self._length_s and behind_s >= self._length_s):
                yield End(reached_s, self._length_s - reached_s if self._length_s > reached_s else None)
                return
            losses.add(behind_s, behind_s - reached_s)

    def _tell(self, loss: str | None) -> None:
        if loss is not None:
            self._report(str(self._path), CameraError(f"{self._path}: {loss}"))

    def _ended_at(self, clock_offset: timedelta) -> datetime:
        changed = changed_at(self._path, clock_offset) or datetime.now(UTC)
        return changed - timedelta(seconds=self._length_s)


class _Losses:
    """Missing stretches, told once for each: those that follow within a second are one."""

    def __init__(self) -> None:
        self.why = ""
        self._lost_s: float = 0.0
        self._unknown = False
        self._from_s = self._until_s = 0.0

    def add(self, position_s: float, lost_s: float | None) -> None:
        """So many seconds are missing before this position; None: nobody knows how many."""
        if lost_s == 0:
            return
        if not self._lost_s and not self._unknown:
            self._from_s = max(0.0, position_s - (lost_s or 0.0))
        self._lost_s += lost_s or 0.0
        self._unknown = self._unknown or lost_s is None
        self._until_s = position_s

    def before(self, position_s: float | None) -> str | None:
        """What is to be told once decoding has come this far; None: to the end."""
        if not (self._lost_s or self._unknown) or (
            position_s is not None and position_s < self._until_s + _ONE_STRETCH_S
        ):
            return None
        length = "an unknown length" if not self._lost_s else f"{self._lost_s:.2f} s"
        why = self.why or "damaged or cut off"
        told = f"{length} of video is missing from {self._from_s:.2f} s on: {why}"
        self.why, self._lost_s, self._unknown = "", 0.0, False
        return told
