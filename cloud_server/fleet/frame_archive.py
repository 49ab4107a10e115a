"""The frame archive: frames that the big model answered, with its answers, to train a little model of one place.

Each picture has a line in `answers.jsonl`, a JSON object: `file` (below the folder), `label`, `confidence`, `model`,
`version` (of model and label map), `device`, `received_at` (UTC), `top` (the likeliest labels with their probabilities)
and, where the frame stands for an event, `event` (its id). A picture is written before its line, so a line without a
picture means that someone removed it.

All disk work happens on a thread of its own. A frame that cannot be archived is left out; no answer waits for it or
fails.
"""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cloud_server.fleet.archive_folder import ArchiveFolder, safe_name
from edge_sdk.images.close_up import CloseUp
from edge_sdk.images.exif import parse_exif
from edge_sdk.images.header import ImageHeader, read_header
from edge_sdk.types import Region

_log = logging.getLogger(__name__)

LIMIT_BYTES = 2_000_000_000
TOP = 5
"""Labels of one frame that are written down with their probabilities."""
LOOK_AGAIN_S = 300.0
"""Seconds until an archive that is off looks for room again."""
WAITING_BYTES = 64 << 20
"""Pictures that may wait for a slow disk."""
_SIDEWAYS = 5  # EXIF orientations from here on swap width and height
_ROOM = 10
"""Frames that must fit before archiving goes on: not off and on again with each."""
ARCHIVED_VERSION = 16
"""Digits of the version that a line has."""
SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WebP": ".webp"}


@dataclass(frozen=True, slots=True, eq=False)
class AnsweredFrame:
    """A frame and the big model's answer.

    Attributes:
        frame_id: the device's id of it.
        image: the encoded picture.
        device: who sent it.
        received_at: when it came, with a time zone.
        probabilities: `float32 (C,)`, in the order of the server's labels.
        event: the device's id of the event that it stands for; "": of none.
        region: where in the picture something moved, as the device says; None: it says nothing.
    """

    frame_id: str
    image: bytes
    device: str
    received_at: datetime
    probabilities: NDArray[np.float32]
    event: str = ""
    region: Region | None = None


@dataclass(frozen=True, slots=True)
class _Words:
    """What lines say of the model that answered, with the names of the probabilities."""

    labels: tuple[str, ...]
    model: str
    version: str


class FrameArchive:
    """Keeps answered frames in a folder, each id once, up to a limit in bytes.

    A model that takes the place of another keeps its frames `beside` it, in the same folder; the last one that closes
    releases that. Where the limit is reached or the disk fails, archiving is off, the log says so once, and every
    `LOOK_AGAIN_S` it looks whether there is room. Nothing is ever deleted.

    Args:
        folder: made where it is missing, mode 0700; files get mode 0600.
        labels: C names, in the order of the probabilities.
        model: the big model's name.
        version: changes whenever the model or the label map changes.
        limit_bytes: of the disk that all in the folder takes, in blocks; what is there from earlier runs counts.
        fraction: share of the frames that is archived, chosen by a hash of their ids, in (0, 1].
        clock: seconds, monotonic.

    Raises:
        ConfigError: another server archives frames there, or the folder cannot be used.
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
        self._words = _Words(tuple(labels), model, version)
        self._keeper = _Keeper(folder, limit_bytes, fraction, clock)

    @property
    def folder(self) -> Path:
        """Where its frames lie."""
        return self._keeper.path

    @property
    def size(self) -> int:
        """Bytes of the disk that the folder takes."""
        return self._keeper.folder.bytes

    def beside(self, *, labels: Sequence[str], model: str, version: str) -> FrameArchive | None:
        """The same archive for frames that another model answers; None: it is closed."""
        if not self._keeper.take():
            return None
        other = copy.copy(self)
        other._words = _Words(tuple(labels), model, version)
        return other

    def offer(self, frame: AnsweredFrame) -> None:
        """Archive a frame, later and on another thread; costs the caller microseconds and never fails."""
        self._keeper.offer(frame, self._words)

    def change_labels(self, labels: Sequence[str], version: str) -> None:
        """Name the probabilities of frames offered from now on by other labels."""
        self._words = replace(self._words, labels=tuple(labels), version=version)

    def close(self) -> None:
        """Write what was offered, and release the folder unless another model keeps its frames there."""
        self._keeper.leave()


class _Keeper:
    """The folder and its thread, for one model or for several."""

    def __init__(self, folder: Path, limit_bytes: int, fraction: float, clock: Callable[[], float]) -> None:
        self.path = folder
        self._limit, self._fraction, self._clock = limit_bytes, fraction, clock
        self._off = ""  # why nothing is archived for now: "limit", "disk" or, where frames are archived, ""
        self._look_again_s = 0.0
        self._guard = threading.Lock()  # of the three below
        self._users = 1
        self._waiting = 0
        self._is_behind = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="archive")
        try:
            self.folder = self._thread.submit(ArchiveFolder, folder).result()
        except BaseException:
            self._thread.shutdown()
            raise
        held = f"{len(self.folder.names)} in {_megabytes(self.folder.bytes)}"
        _log.info("frames are archived in %s: it holds %s", folder, held)

    def take(self) -> bool:
        """Be used by one more, unless all have left."""
        with self._guard:
            self._users += self._users > 0
            return self._users > 0

    def leave(self) -> None:
        """Be used by one less; the last one's leaving waits for what was offered."""
        with self._guard:
            self._users -= 1
            is_last = self._users == 0
        if is_last:
            self._thread.submit(self.folder.close)
            self._thread.shutdown()

    def offer(self, frame: AnsweredFrame, words: _Words) -> None:
        """As `FrameArchive.offer`."""
        if _share_of(frame.frame_id) >= self._fraction:
            return
        with self._guard:
            is_too_much = self._waiting + len(frame.image) > WAITING_BYTES
            is_news = is_too_much and not self._is_behind
            self._is_behind |= is_too_much
            if not is_too_much:
                self._waiting += len(frame.image)
        if is_news:
            _log.warning("frames come faster than %s takes them: some are not archived", self.path)
        if not is_too_much:
            self._thread.submit(self._archive, frame, words)

    def _archive(self, frame: AnsweredFrame, words: _Words) -> None:
        try:
            self._write(frame, words)
        except Exception as error:  # whatever it is, the frames that follow are answered
            self._turn_off("disk", f"{error!s:.300}" if isinstance(error, OSError) else repr(error))
        finally:
            with self._guard:
                self._waiting -= len(frame.image)
                self._is_behind &= self._waiting > 0

    def _write(self, frame: AnsweredFrame, words: _Words) -> None:
        name = safe_name(frame.frame_id)
        if name in self.folder.names or (self._off and self._clock() < self._look_again_s):
            return
        day = frame.received_at.astimezone(UTC).date().isoformat()
        header = read_header(frame.image)
        file = f"{day}/{name}{SUFFIXES[header.format]}"
        line = _line(frame, words, file, header)
        size = self.folder.cost(len(frame.image), len(line))
        if self._off:
            self._look_again_s = self._clock() + LOOK_AGAIN_S
            if not self.folder.has_room(_ROOM * size, self._limit):
                return
        if self.folder.bytes + size > self._limit:
            held = f"{_megabytes(self.folder.bytes)} of {_megabytes(self._limit)}"
            self._turn_off("limit", f"it holds {held}: move days away, or raise --archive-limit")
            return
        self.folder.write(file, frame.image, line)
        if self._off:
            self._off = ""
            _log.info("frames are archived in %s again", self.path)

    def _turn_off(self, kind: str, why: str) -> None:
        self._look_again_s = self._clock() + LOOK_AGAIN_S
        if kind != self._off:
            _log.error("frames are not archived in %s for now, answers go on: %s", self.path, why)
        self._off = kind


def _line(frame: AnsweredFrame, words: _Words, file: str, header: ImageHeader) -> bytes:
    order = np.argsort(-frame.probabilities, kind="stable")[:TOP]
    top = {words.labels[index]: round(float(frame.probabilities[index]), 6) for index in order}
    label = words.labels[order[0]]
    fields = {
        "file": file,
        "label": label,
        "confidence": top[label],
        "model": words.model,
        "version": words.version,
        "device": frame.device,
        "received_at": frame.received_at.astimezone(UTC).isoformat(timespec="milliseconds"),
        "top": top,
        **({"event": frame.event} if frame.event else {}),
    }
    if frame.region is not None:
        size = header.width, header.height
        upright = size if parse_exif(header.exif).orientation < _SIDEWAYS else size[::-1]
        inside = CloseUp(0, 0, *upright).locate(frame.region, *upright)
        if inside is not None:
            box = [inside.x, inside.y, inside.width, inside.height]
            fields |= {"region": box, "size": list(upright)}
    return json.dumps(fields, ensure_ascii=False).encode() + b"\n"


def _share_of(frame_id: str) -> float:
    """A number in [0, 1) that is always the same for one id and spread evenly over ids."""
    digest = hashlib.blake2b(frame_id.encode(errors="surrogatepass"), digest_size=6, person=b"edge-sdk keep").digest()
    return int.from_bytes(digest, "big") / (1 << 48)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
