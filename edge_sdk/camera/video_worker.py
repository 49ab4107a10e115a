"""The program of the process in which a video file is decoded: `edge_sdk.camera.video_process` starts it and listens.

A decoder that crashes takes this process along, and no other. It talks in `MESSAGE`s on what was standard output;
pixels lie in shared memory. What the decoders write to standard error counts as a complaint, and is shown to nobody.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import struct
import sys
import time

import cv2
import numpy as np

from edge_sdk.camera.container import avi_damage, matroska_start_s
from edge_sdk.camera.timeline import Timeline

MESSAGE = struct.Struct("=cddQIII")
"""Kind, two values, bytes of a slot, slot, width, height. The kinds:

`I` opened: length in seconds (0: unknown) and frames per second. `F` a frame: position, and seconds missing before it.
`A` alive: position. `E` the end: position, and seconds missing before it (NaN: nobody knows how many).
`N` no video. `L` too large: width, height.
"""
ORDER = struct.Struct("=dd")
"""The position to start behind (-1: at the beginning), and the seconds between frames (0: all)."""
SLOTS = 2
ALIVE_S = 1.0

_DEFAULT_FPS = 25.0
_MISSES = 500  # at the end, reading fails at once and for ever; within a damage, each time after many packets
_COMPLAINTS_BYTES = 1 << 20
_SAMPLE = 500  # chunks of an AVI that are looked up before anything has gone wrong


class Complaints:
    """What decoders write to standard error, a file of this process."""

    def __init__(self) -> None:
        self._seen = os.fstat(2).st_size

    def came(self) -> bool:
        """Whether there are new ones."""
        size = os.fstat(2).st_size
        came = size != self._seen
        if size > _COMPLAINTS_BYTES:
            os.ftruncate(2, 0)
            size = 0
        self._seen = size
        return came


class Slots:
    """The shared memory, and the room in it that the reader has given back."""

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._map: mmap.mmap | None = None
        self._size = 0
        self._free = list(range(SLOTS))

    def put(self, image: np.ndarray) -> tuple[int, int]:
        """Write a BGR picture as RGB: bytes of a slot, and the slot."""
        if image.nbytes > self._size:
            while len(self._free) < SLOTS:
                self._wait()
            if self._map is not None:
                self._map.close()
            self._size = -(-image.nbytes // mmap.PAGESIZE) * mmap.PAGESIZE
            os.ftruncate(self._memory, SLOTS * self._size)
            self._map = mmap.mmap(self._memory, SLOTS * self._size)
        while not self._free:
            self._wait()
        slot = self._free.pop()
        assert self._map is not None
        room = np.frombuffer(self._map, np.uint8, image.nbytes, slot * self._size).reshape(image.shape)
        cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=room)
        return self._size, slot

    def _wait(self) -> None:
        given = os.read(0, 1)
        if not given:
            os._exit(0)  # the reader is gone
        self._free.append(given[0])


class Worker:
    """One video file, decoded from one position on.

    Args:
        name: the file as OpenCV opens it.
        kind: of its container.
        max_pixels: largest width times height.
        memory: descriptor of the shared memory.
        out: descriptor of the messages.
    """

    def __init__(self, name: str, kind: str, max_pixels: int, memory: int, out: int) -> None:
        self._name, self._kind, self._max_pixels, self._out = name, kind, max_pixels, out
        self._slots = Slots(memory)
        self._told_s = time.monotonic()

    def run(self) -> None:
        """Open, wait for the order, and tell of every frame."""
        capture = self._open()
        if capture is None:
            return
        fps = capture.get(cv2.CAP_PROP_FPS)
        fps = fps if 0.01 <= fps <= 1000 else _DEFAULT_FPS
        base_s, length_s = self._measure(capture, fps)
        self._tell(b"I", length_s, fps)
        order = os.read(0, ORDER.size)
        if len(order) < ORDER.size:
            return
        behind_s, interval_s = ORDER.unpack(order)
        capture.release()
        capture = cv2.VideoCapture(self._name, cv2.CAP_FFMPEG)
        if behind_s >= 0:
            capture.set(cv2.CAP_PROP_POS_MSEC, (base_s + behind_s) * 1000)
        self._read(capture, fps, base_s, length_s or None, behind_s if behind_s >= 0 else None, interval_s)

    def _open(self) -> cv2.VideoCapture | None:
        capture = cv2.VideoCapture(self._name, cv2.CAP_FFMPEG)
        width, height = (capture.get(side) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        if not capture.isOpened() or min(width, height) <= 0:
            self._tell(b"N")
            return None
        if width * height > self._max_pixels:
            self._tell(b"L", width=round(width), height=round(height))
            return None
        return capture

    def _measure(self, capture: cv2.VideoCapture, fps: float) -> tuple[float, float]:
        """The container's time of the first frame, and the length of the video in seconds; 0: unknown."""
        complaints = Complaints()
        times: list[float] = []
        misses = 0
        damaged = False
        while len(times) < 3 and misses < _MISSES:
            if not capture.grab():
                misses += 1
                continue
            if not times:
                damaged = complaints.came()
            times.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
        first_s = times[0] if times else 0.0
        if self._kind == "avi" and len(times) == 3 and first_s == 0 and times[1] > 1.5 * (times[2] - times[1]):
            first_s = max(0.0, 2 * times[1] - times[2])  # FFmpeg gives the first frame of a later piece the time 0
        base_s = 0.0 if damaged else first_s
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        length_s = count / fps if 0 < count < 1e9 else 0.0
        # In a later piece of a recording, the length of Matroska and AVI counts from the start of the recording.
        before_s = base_s if self._kind == "avi" else 0.0
        if self._kind == "matroska" and not damaged:
            with contextlib.suppress(OSError):
                before_s = matroska_start_s(self._name)
        return base_s, max(0.0, length_s - (before_s if not damaged else 0.0))

    def _read(
        self,
        capture: cv2.VideoCapture,
        fps: float,
        base_s: float,
        length_s: float | None,
        behind_s: float | None,
        interval_s: float,
    ) -> None:
        line = Timeline(fps, base_s=base_s, length_s=length_s, reached_s=behind_s)
        complaints = Complaints()
        due_s = lost_s = 0.0
        misses = 0
        complained = False
        shifts, thorough, shifted = self._find_shifts(line, _SAMPLE), False, 0
        while misses < _MISSES:
            done = capture.grab()
            complained = complaints.came() or complained
            if not done:
                misses += 1
                self._stay_alive(line)
                continue
            misses = 0
            reported_s = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if behind_s is not None and reported_s - base_s <= behind_s:  # seeking goes to the key frame before
                self._stay_alive(line)
                continue
            behind_s = None
            if complained and not shifts and not thorough:
                thorough, shifts = True, self._find_shifts(line, None)
            for number, (from_s, late_s) in enumerate(shifts):
                if reported_s >= from_s:
                    reported_s += late_s
                    complained = complained or number >= shifted
                    shifted = max(shifted, number + 1)
            position_s, lost_before_s = line.add(reported_s, complained)
            complained = False
            lost_s += lost_before_s
            # Half a frame of slack: time stamps are rounded to the container's time base.
            if position_s < due_s - 0.5 * line.step_s:
                self._stay_alive(line)
                continue
            due_s = max(due_s + interval_s, position_s)
            done, image = capture.retrieve()
            if not done or image.ndim != 3 or image.shape[0] * image.shape[1] > self._max_pixels:
                lost_s += line.step_s
                self._stay_alive(line)
                continue
            size, slot = self._slots.put(image)
            self._tell(b"F", position_s, lost_s, size, slot, image.shape[1], image.shape[0])
            lost_s = 0.0
        missing_s = line.missing_at_end_s(exact=self._kind in ("mp4", "avi"), complained=complained)
        end_s = 0.0 if line.reached_s is None else line.reached_s + line.step_s
        self._tell(b"E", end_s, float("nan") if missing_s is None else missing_s + lost_s)

    def _find_shifts(self, line: Timeline, sample: int | None) -> list[tuple[float, float]]:
        """Of an AVI whose index does not hold: from which time on frames come too early, and by how much."""
        damages: list[tuple[float, float]] = []
        if self._kind == "avi":
            with contextlib.suppress(OSError, struct.error):
                damages = avi_damage(self._name, sample=sample)
        if not damages:
            return []
        capture = cv2.VideoCapture(self._name, cv2.CAP_FFMPEG)
        fps, count = capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)
        end_s = misses = 0.0
        while misses < _MISSES:
            if capture.grab():
                misses = 0
                end_s = max(end_s, capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
            else:
                misses += 1
            self._stay_alive(line)
        missing_s = count / fps - end_s - line.step_s if fps > 0 else 0.0
        damaged_s = sum(length_s for _, length_s in damages)
        return [(from_s, missing_s * length_s / damaged_s) for from_s, length_s in damages] if missing_s > 0 else []

    def _stay_alive(self, line: Timeline) -> None:
        if time.monotonic() - self._told_s > ALIVE_S:
            self._tell(b"A", line.reached_s or 0.0)

    def _tell(
        self,
        kind: bytes,
        one: float = 0.0,
        other: float = 0.0,
        size: int = 0,
        slot: int = 0,
        width: int = 0,
        height: int = 0,
    ) -> None:
        os.write(self._out, MESSAGE.pack(kind, one, other, size, slot, width, height))
        self._told_s = time.monotonic()


def main(name: str, kind: str, max_pixels: int, memory: int) -> None:
    """Decode one file until its end, or until the reader is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the reader
    out = os.dup(1)
    os.dup2(2, 1)  # a library that prints must not spoil the messages
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")  # where memory ends, this process goes first
    except OSError:
        pass
    try:
        Worker(name, kind, max_pixels, memory, out).run()
    except BrokenPipeError:
        sys.exit(0)
