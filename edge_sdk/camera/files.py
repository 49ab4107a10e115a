"""The photos and videos under a folder: what is a camera's, and in which order it was taken."""

from __future__ import annotations

import heapq
import os
import re
import stat
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePath

from edge_sdk.images.read import IMAGE_SUFFIXES

VIDEO_SUFFIXES = frozenset(
    {
        ".mp4",
        ".m4v",
        ".mov",
        ".qt",
        ".avi",
        ".mkv",
        ".webm",
        ".mpg",
        ".mpeg",
        ".mts",
        ".m2ts",
        ".ts",
        ".3gp",
        ".3g2",
        ".wmv",
        ".asf",
        ".flv",
        ".ogv",
        ".mjpg",
        ".mjpeg",
        ".h264",
        ".264",
        ".h265",
        ".265",
        ".hevc",
        ".dav",
    }
)
"""File name endings, in lower case, of the videos that a folder is searched for."""

LEFT_OUT = frozenset(
    {
        "@eadir",
        "@tmp",
        "@recycle",
        "@recently-snapshot",
        "@sharebin",
        "@sharesnap",
        "@__thumb",
        "#recycle",
        "#snapshot",
        "$recycle.bin",
        "$extend",
        "recycler",
        "recycled",
        "lost+found",
        "lost.dir",
        "__macosx",
        "thumbs.db",
        "system volume information",
        "network trash folder",
        "temporary items",
    }
)
"""Folders, in lower case, that network disks, systems and cards keep for themselves: thumbnails, bins, snapshots."""

_RECOVERED = re.compile(r"found\.\d{3}")
_NUMBER = re.compile(r"(\d+)")


def camera_of(source: str) -> str:
    """What took a frame, by its source: the folder of a photo or video, or the source itself of a live camera."""
    return PurePath(source).parent.as_posix() if suffix_of_file(source) else source


def suffix_of_file(source: str) -> str:
    """The suffix of a photo or video, in small letters; "" where a frame's source is no such file."""
    suffix = PurePath(source).suffix.lower()
    return suffix if "://" not in source and (suffix in VIDEO_SUFFIXES or suffix in IMAGE_SUFFIXES) else ""


@dataclass(frozen=True, slots=True)
class CardFile:
    """One photo or video.

    Attributes:
        name: its path below the folder.
        size: bytes.
        changed_ns: time of the last change, nanoseconds since 1970.
        video: it is a video, by its name.
    """

    name: str
    size: int
    changed_ns: int
    video: bool


@dataclass(slots=True)
class Listing:
    """What is under a folder.

    Attributes:
        files: photos and videos, in the order in which they were taken as far as names tell.
        passed_over: number of other files, and of folders that are left out.
        unreadable: folders and files that cannot be looked at, with the reason.
    """

    files: list[CardFile] = field(default_factory=list)
    passed_over: int = 0
    unreadable: list[tuple[str, str]] = field(default_factory=list)


def natural_key(path: str) -> list[tuple[tuple[int, int | str], ...]]:
    """Sort key under which `img2` comes before `img10`, folder by folder, upper and lower case alike."""
    return [
        tuple((0, int(part)) if part.isdecimal() else (1, part) for part in _NUMBER.split(level.lower()))
        for level in path.split(os.sep)
    ]


def is_left_out(name: str) -> bool:
    """Whether a file or folder of this name is none of the camera's: hidden, or in `LEFT_OUT`."""
    lower = name.lower()
    return name.startswith(".") or lower in LEFT_OUT or _RECOVERED.fullmatch(lower) is not None


def list_files(root: str) -> Listing:
    """Search a folder at all depths; links to folders are not followed. Nothing that is found ends the search."""
    listing = Listing()
    waiting, found = [""], listing.files
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(os.path.join(root, folder)) as entries:
                for entry in entries:
                    name = os.path.join(folder, entry.name)
                    try:
                        if is_left_out(entry.name):
                            listing.passed_over += 1
                        elif entry.is_dir(follow_symlinks=False):
                            waiting.append(name)
                        elif (file := card_file(root, name)) is not None:
                            found.append(file)
                        else:
                            listing.passed_over += 1
                    except OSError as error:
                        listing.unreadable.append((name, error.strerror or str(error)))
        except OSError as error:
            listing.unreadable.append((folder, error.strerror or str(error)))
    listing.files = in_order(found)
    return listing


def card_file(root: str, name: str) -> CardFile | None:
    """The photo or video of this name below `root`; None where it is neither, or no file (a pipe, a socket, a device).

    Raises:
        OSError: it has vanished, or cannot be looked at.
    """
    suffix = os.path.splitext(name)[1].lower()
    if suffix not in IMAGE_SUFFIXES and suffix not in VIDEO_SUFFIXES:
        return None
    found = os.stat(os.path.join(root, name))
    if not stat.S_ISREG(found.st_mode):
        return None
    return CardFile(name, found.st_size, found.st_mtime_ns, suffix in VIDEO_SUFFIXES)


def in_order(files: Iterable[CardFile]) -> list[CardFile]:
    """Files in natural order of their paths.

    Where the photos and the videos of one folder count apart (`IMG_0001.JPG`, `VID_0001.MP4`), each keeps its own
    order, and the two are merged by the files' dates.
    """
    ordered = sorted(files, key=lambda file: natural_key(file.name))
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place, file in enumerate(ordered):
        places[os.path.dirname(file.name)].append(place)
    for spots in places.values():
        here = [ordered[spot] for spot in spots]
        photos, videos = [file for file in here if not file.video], [file for file in here if file.video]
        if photos and videos and not {_series(file) for file in photos} & {_series(file) for file in videos}:
            merged = heapq.merge(photos, videos, key=lambda file: file.changed_ns)
            for spot, file in zip(spots, merged, strict=True):
                ordered[spot] = file
    return ordered


def _series(file: CardFile) -> str:
    """A name without its numbers."""
    return _NUMBER.sub("", os.path.splitext(os.path.basename(file.name))[0].lower())
