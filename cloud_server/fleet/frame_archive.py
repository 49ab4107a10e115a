"""Frames that the big model answered, kept with their answers: samples for a little model of one place.

    FOLDER/2026-11-21/019aa3c4….jpg     a picture, byte for byte as it came
    FOLDER/answers.jsonl                one line for each, appended

A line is a JSON object: `file` (below FOLDER), `label`, `confidence`, `model`, `version` (of model and label map),
`device`, `received_at` (UTC) and `top` (the likeliest labels with their probabilities). A picture is written before its
line, so a line without a picture means that someone removed it.

All disk work happens on a thread of its own. What cannot be kept is left out; no answer waits for it or fails.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cloud_server.model.decode import image_size
from edge_sdk.errors import ConfigError

_log = logging.getLogger(__name__)

ANSWERS = "answers.jsonl"
LIMIT_BYTES = 2_000_000_000
TOP = 5
"""Labels of one frame that are written down with their probabilities."""
LOOK_AGAIN_S = 300.0
"""How long keeping is off before it looks for room again."""
WAITING_BYTES = 64 << 20
"""Pictures that may wait for a slow disk."""
_ROOM = 10
"""Keeping goes on once there is room for so many frames: not off and on again with each."""
_SUFFIX = {"JPEG": ".jpg", "PNG": ".png", "WebP": ".webp"}
_SAFE = re.compile(r"[0-9a-z][0-9a-z_-]{0,63}")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_APPEND = os.O_RDWR | os.O_CREAT | os.O_APPEND


@dataclass(frozen=True, slots=True, eq=False)
class AnsweredFrame:
    """A frame and what the big model says of it.

    Attributes:
        frame_id: the device's id of it.
        image: the encoded picture.
        device: who sent it.
        received_at: when it came, with a time zone.
        probabilities: `float32 (C,)`, in the order of the server's labels.
    """

    frame_id: str
    image: bytes
    device: str
    received_at: datetime
    probabilities: NDArray[np.float32]


class FrameKeeper:
    """Keeps answered frames in a folder, each id once, up to a limit in bytes.

    Where the limit is reached or the disk fails, keeping goes off, the log says so once, and every `LOOK_AGAIN_S` it
    looks whether there is room. Nothing is ever deleted.

    Args:
        folder: made where it is missing, mode 0700; files get mode 0600.
        labels: C names, in the order of the probabilities.
        model: the big model's name.
        version: another text where the model or the label map is another.
        limit_bytes: pictures and lines together; what the folder holds from earlier runs counts.
        fraction: share of the frames that is kept, chosen by a hash of their ids, in (0, 1].
        clock: seconds, monotonic.

    Raises:
        ConfigError: another server keeps frames there, or the folder cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        *,
        labels: Sequence[str],
        model: str,
        version: str,
        limit_bytes: int = LIMIT_BYTES,
        fraction: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._labels, self._model, self._version = folder, tuple(labels), model, version
        self._limit, self._fraction, self._clock = limit_bytes, fraction, clock
        self._off = ""  # why nothing is kept for now: "limit", "disk" or, where frames are kept, ""
        self._look_again_s = 0.0
        self._guard = threading.Lock()  # of the two below
        self._waiting = 0
        self._is_behind = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="keep")
        try:
            self._thread.submit(self._open).result()
        except BaseException:
            self._thread.shutdown()
            raise
        _log.info("frames are kept in %s: it holds %d in %s", folder, len(self._names), _megabytes(self._bytes))

    def offer(self, frame: AnsweredFrame) -> None:
        """Keep a frame, later and elsewhere; costs the caller microseconds and never fails."""
        if _share_of(frame.frame_id) >= self._fraction:
            return
        with self._guard:
            is_too_much = self._waiting + len(frame.image) > WAITING_BYTES
            is_news = is_too_much and not self._is_behind
            self._is_behind |= is_too_much
            if not is_too_much:
                self._waiting += len(frame.image)
        if is_news:
            _log.warning("frames come faster than %s takes them: some are not kept", self._folder)
        if not is_too_much:
            self._thread.submit(self._keep, frame)

    def close(self) -> None:
        """Write what was offered, and release the folder."""
        self._thread.submit(os.close, self._lock)
        self._thread.shutdown()

    def _open(self) -> None:
        import fcntl

        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise _unusable(self._folder, error.strerror) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            answers = self._folder / ANSWERS
            if not os.access(self._folder, os.W_OK | os.X_OK) or (
                answers.exists() and not (answers.is_file() and os.access(answers, os.R_OK | os.W_OK))
            ):
                raise _unusable(self._folder, f"it, or {ANSWERS} in it, cannot be written")
            self._bytes, self._names = self._count()
        except BlockingIOError as error:
            os.close(self._lock)
            raise _unusable(self._folder, "another server keeps its frames there") from error
        except OSError as error:
            os.close(self._lock)
            raise _unusable(self._folder, error.strerror) from error
        except BaseException:
            os.close(self._lock)
            raise

    def _keep(self, frame: AnsweredFrame) -> None:
        try:
            self._write(frame)
        except Exception as error:  # whatever it is, the frames that follow are answered
            self._turn_off("disk", f"{error!s:.300}" if isinstance(error, OSError) else repr(error))
        finally:
            with self._guard:
                self._waiting -= len(frame.image)
                self._is_behind &= self._waiting > 0

    def _write(self, frame: AnsweredFrame) -> None:
        name = _safe_name(frame.frame_id)
        if name in self._names or (self._off and self._clock() < self._look_again_s):
            return
        day = frame.received_at.astimezone(UTC).date().isoformat()
        file = f"{day}/{name}{_SUFFIX[image_size(frame.image).format]}"
        line = self._line(frame, file)
        size = len(frame.image) + len(line)
        if self._off and not self._has_room(size):
            return
        if self._bytes + size > self._limit:
            self._turn_off(
                "limit", f"it holds {_megabytes(self._bytes)} of {_megabytes(self._limit)}: move days away, or raise it"
            )
            return
        path = self._folder / file
        self._names.add(name)
        try:
            try:
                _write_new(path, frame.image)
            except FileNotFoundError:  # the day is new, or was moved away
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                path.parent.mkdir(mode=0o700, exist_ok=True)
                _write_new(path, frame.image)
        except FileExistsError:
            return
        except OSError:
            self._names.remove(name)
            raise
        try:
            self._bytes += len(frame.image) + _append(self._folder / ANSWERS, line)
        except OSError:
            self._names.remove(name)
            path.unlink(missing_ok=True)
            raise
        if self._off:
            self._off = ""
            _log.info("frames are kept in %s again", self._folder)

    def _line(self, frame: AnsweredFrame, file: str) -> bytes:
        order = np.argsort(-frame.probabilities, kind="stable")[:TOP]
        top = {self._labels[index]: round(float(frame.probabilities[index]), 6) for index in order}
        label = self._labels[order[0]]
        said = {
            "file": file,
            "label": label,
            "confidence": top[label],
            "model": self._model,
            "version": self._version,
            "device": frame.device,
            "received_at": frame.received_at.astimezone(UTC).isoformat(timespec="milliseconds"),
            "top": top,
        }
        return json.dumps(said, ensure_ascii=False).encode() + b"\n"

    def _turn_off(self, kind: str, why: str) -> None:
        self._look_again_s = self._clock() + LOOK_AGAIN_S
        if kind != self._off:
            _log.error("frames are not kept in %s for now, answers go on: %s", self._folder, why)
        self._off = kind

    def _has_room(self, size: int) -> bool:
        """Whether there is room now for `_ROOM` frames of `size` bytes, by a fresh count."""
        self._look_again_s = self._clock() + LOOK_AGAIN_S
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._bytes, self._names = self._count()
        return self._bytes + _ROOM * size <= self._limit and shutil.disk_usage(self._folder).free >= _ROOM * size

    def _count(self) -> tuple[int, set[str]]:
        """Bytes of pictures and lines that the folder holds, and the names of the pictures, without suffix."""
        answers = self._folder / ANSWERS
        size = answers.stat().st_size if answers.exists() else 0
        names = set()
        for day in self._folder.iterdir():
            if _DAY.fullmatch(day.name) and day.is_dir():
                with suppress(FileNotFoundError), os.scandir(day) as files:  # days may be moved away meanwhile
                    for file in files:
                        with suppress(FileNotFoundError):
                            size += file.stat(follow_symlinks=False).st_size
                            names.add(file.name.partition(".")[0])
        return size, names


def _unusable(folder: Path, why: str | None) -> ConfigError:
    return ConfigError(f"cannot keep frames in {folder}: {why}: name another folder with --keep")


def _safe_name(frame_id: str) -> str:
    """A file's name for any id: the id itself, or a hash of one that has more than small letters and digits."""
    if _SAFE.fullmatch(frame_id):
        return frame_id
    return hashlib.blake2b(frame_id.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def _share_of(frame_id: str) -> float:
    """A number in [0, 1) that is always the same for one id and spread evenly over ids."""
    digest = hashlib.blake2b(frame_id.encode(errors="surrogatepass"), digest_size=6, person=b"edge-sdk keep").digest()
    return int.from_bytes(digest, "big") / (1 << 48)


def _write_new(path: Path, content: bytes) -> None:
    """Write a file that is not there yet; one that cannot be written in full is removed again."""
    with open(os.open(path, _NEW, 0o600), "wb", buffering=0) as file:
        try:
            if file.write(content) != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        except OSError:
            path.unlink(missing_ok=True)
            raise


def _append(path: Path, line: bytes) -> int:
    """Append a line, in full or not at all, after ending one that a crash cut off; returns the bytes written."""
    descriptor = os.open(path, _APPEND, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = b"\n" + line
        if os.write(descriptor, line) != len(line):
            os.ftruncate(descriptor, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    finally:
        os.close(descriptor)
    return len(line)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
