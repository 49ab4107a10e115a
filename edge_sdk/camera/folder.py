"""Photos and videos in a folder, or a single photo, as a camera."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Protocol

from edge_sdk.camera.base import CameraBase, Fault, OnFault
from edge_sdk.camera.files import VIDEO_SUFFIXES, CardFile, card_file, list_files
from edge_sdk.camera.growing import WholeFiles
from edge_sdk.errors import CameraError, EdgeError, ImageError
from edge_sdk.images.frame import read_frame
from edge_sdk.images.read import IMAGE_SUFFIXES
from edge_sdk.terminal.line import literal
from edge_sdk.types import Frame

_log = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.5
_LOOK_SHARE = 20
"""A look at a large folder takes time: the pause is so many times as long."""
_CARD_FOLDER = re.compile(r"\d{3}\w{5}", re.ASCII)
"""The folders of a card (DCF: 100MEDIA, 101MEDIA), through which a camera counts on."""


class DoneFiles(Protocol):
    """Remembers which files were done; `EdgeClassifier.done_files` is one."""

    def contains(self, mark: str) -> bool:
        """Whether all frames of the file were handled."""

    def add(self, mark: str) -> None:
        """All frames of the file have been handled."""

    def frame_id(self, mark: str, place: str = "") -> str:
        """The id of the frame at this place of the file, always the same."""

    def has_frame(self, frame_id: str) -> bool:
        """Whether the frame was handled."""


@dataclass(slots=True)
class CardCounts:
    """What became of the files of a folder.

    Attributes:
        photos: photos that were read.
        videos: videos of which a frame was read.
        frames: frames of all photos and videos.
        broken: files that could not be read, or not to their end.
        passed_over: other files, and hidden or system folders.
        done_before: files that were done in an earlier run.
        wrong_times: frames whose camera's clock was not set, or whose time cannot be.
    """

    photos: int = 0
    videos: int = 0
    frames: int = 0
    broken: int = 0
    passed_over: int = 0
    done_before: int = 0
    wrong_times: int = 0

    def sentence(self) -> str:
        """In words, on one line."""
        said = f"files: {self.photos} photos and {self.videos} videos read"
        if self.videos:
            said += f" ({self.frames} frames)"
        if self.done_before:
            said += f", {self.done_before} done before (?again=yes reads them again)"
        said += f", {self.passed_over} passed over, {self.broken} broken"
        if self.wrong_times:
            said += f"; of {self.wrong_times} frames the camera's time cannot be right"
        return said


class FolderCamera(CameraBase):
    """Every photo and every frame of every video under a folder, in natural order of their paths.

    A frame's source is the file's path. The capture time of a photo is its EXIF time, else the time of the file's last
    change. Neither a file that cannot be used ends the camera, whatever it is, nor one whose date or name is odd: it is
    reported as a fault and passed over.

    Args:
        path: a folder, searched at all depths (hidden files, bins and thumbnails of network disks left out; links to
            folders not followed), or one image file.
        truth_from_folders: take the name of the first folder below `path` as the true label of the frames in it.
        zone: the zone of the camera's clock; None: the local zone. Times that name their own offset keep it.
        clock_offset: what is added to the camera's times.
        fps: most frames per second of video; None: all.
        watch: go on for ever: files that come later are read once they are whole.
        again: read files too that `skip_done` would pass over.
        on_fault: called with each file that cannot be used.
        clock: steady seconds.

    Raises:
        CameraError: there is no such path; or no photo or video in it, and `watch` is not set.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        truth_from_folders: bool = False,
        zone: tzinfo | None = None,
        clock_offset: timedelta = timedelta(0),
        fps: float | None = None,
        watch: bool = False,
        again: bool = False,
        on_fault: OnFault | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(on_fault)
        self._root = str(path)
        self._truth_from_folders = truth_from_folders
        self._zone, self._clock_offset, self._fps = zone, clock_offset, fps
        self._watch, self._again, self._clock = watch, again, clock
        self._done: DoneFiles | None = None
        self._before: tuple[str, datetime] | None = None
        self._unreadable: set[str] = set()
        self.counts = CardCounts()
        if not os.path.exists(self._root):
            raise CameraError(f"there is no file or folder {self._root}")
        self._single = not os.path.isdir(self._root)
        self._files = [self._single_file()] if self._single else self._search()
        if not self._files and not watch:
            photos, videos = ", ".join(sorted(IMAGE_SUFFIXES)), ", ".join(sorted(VIDEO_SUFFIXES))
            raise CameraError(
                f"expected images ({photos}) or videos ({videos}) in the folder {self._root}; "
                f"got {self.counts.passed_over} other files"
            )

    def __len__(self) -> int:
        """Number of photos and videos that were there at the start."""
        return len(self._files)

    @property
    def summary(self) -> str:
        """What became of the files so far, in words."""
        return self.counts.sentence()

    def skip_done(self, done: DoneFiles) -> None:
        """Pass over the files that were done in earlier runs, and remember those of this one (not with `again`)."""
        if not self._again:
            self._done = done

    def __iter__(self) -> Iterator[Frame]:
        if not self._watch:
            for file in self._files:
                if self._stopped.is_set():
                    return
                yield from self._read(file)
            return
        whole, found = WholeFiles(self._root), self._files
        while not self._stopped.is_set():
            for file in whole.take(found, self._clock()):
                if self._stopped.is_set():
                    return
                yield from self._read(file, whole)
            begun_s = time.perf_counter()
            found = self._search()
            if self._stopped.wait(max(_LOOK_EVERY_S, _LOOK_SHARE * (time.perf_counter() - begun_s))):
                return

    def _read(self, file: CardFile, whole: WholeFiles | None = None) -> Iterator[Frame]:
        """The frames of one file."""
        path = os.path.join(self._root, file.name) if file.name else self._root
        mark = f"{os.path.abspath(path)}\n{file.size}\n{file.changed_ns}"
        if self._done is not None and (
            self._done.contains(mark) or (not file.video and self._done.has_frame(self._done.frame_id(mark)))
        ):
            self.counts.done_before += 1
            return
        frames = 0
        faults: list[EdgeError] = []
        for frame in self._guarded(
            path, self._video(path, file, mark, faults) if file.video else self._photo(path, file, mark), faults
        ):
            frames += 1
            self.counts.frames += 1
            if frames == 1:
                self.counts.videos += file.video
                self.counts.photos += not file.video
            self._note_time(frame)
            yield frame
        if self._stopped.is_set() and file.video:
            return
        if faults and whole is not None and not frames and whole.try_again(file, self._clock()):
            return
        for error in faults[:1]:
            self.counts.broken += 1
            self._report(path, error)
        if self._done is not None and frames:
            self._done.add(mark)

    def _guarded(self, path: str, frames: Iterator[Frame], faults: list[EdgeError]) -> Iterator[Frame]:
        """The frames until an error, which is a fault of this file and of no other, whatever it is."""
        while True:
            try:
                frame = next(frames)
            except StopIteration:
                return
            except EdgeError as error:
                faults.append(error)
                return
            except Exception as error:
                _log.debug("%r", path, exc_info=True)
                faults.append(ImageError(f"{path}: cannot be read: {type(error).__name__}: {error}"))
                return
            yield frame

    def _photo(self, path: str, file: CardFile, mark: str) -> Iterator[Frame]:
        frame = read_frame(
            Path(path),
            truth=self._truth(file.name),
            zone=self._zone,
            clock_offset=self._clock_offset,
            before=self._captured_before(file),
            frame_id=None if self._done is None else self._done.frame_id(mark),
        )
        if not frame.note:
            self._before = os.path.dirname(file.name), frame.captured_at
        yield frame

    def _video(self, path: str, file: CardFile, mark: str, faults: list[EdgeError]) -> Iterator[Frame]:
        from edge_sdk.camera.video import VideoFile

        def note(fault: Fault) -> None:
            faults.append(fault.error)

        truth, done = self._truth(file.name), self._done
        with VideoFile(
            Path(path), fps=self._fps, zone=self._zone, clock_offset=self._clock_offset, on_fault=note
        ) as video:
            for frame in video:
                if self._stopped.is_set():
                    return
                frame_id = frame.frame_id if done is None else done.frame_id(mark, frame.captured_at.isoformat())
                if done is not None and done.has_frame(frame_id):  # of a run that ended within this video
                    continue
                yield replace(frame, truth=truth, frame_id=frame_id)

    def _captured_before(self, file: CardFile) -> datetime | None:
        """When the picture before was taken, if it is one of the same camera."""
        if self._before is None:
            return None
        folder, captured_at = self._before
        here = os.path.dirname(file.name)
        counts_on = os.path.dirname(folder) == os.path.dirname(here) and all(
            _CARD_FOLDER.fullmatch(os.path.basename(one)) for one in (folder, here)
        )
        return captured_at if folder == here or counts_on else None

    def _note_time(self, frame: Frame) -> None:
        if frame.note:
            self.counts.wrong_times += 1
            if self.counts.wrong_times == 1:
                _log.warning("%s: %s (said of the first such file only)", literal(frame.source), frame.note)

    def _search(self) -> list[CardFile]:
        listing = list_files(self._root)
        self.counts.passed_over = listing.passed_over
        for name, reason in listing.unreadable:
            if name not in self._unreadable:
                path = os.path.join(self._root, name) if name else self._root
                self.counts.broken += 1
                self._report(path, CameraError(f"{path}: cannot be read: {reason}"))
        self._unreadable = {name for name, _ in listing.unreadable}
        return listing.files

    def _single_file(self) -> CardFile:
        try:
            return card_file(self._root, "") or CardFile("", 0, 0, False)
        except OSError:
            return CardFile("", 0, 0, False)

    def _truth(self, name: str) -> str | None:
        return name.split(os.sep)[0] if self._truth_from_folders and os.sep in name else None
