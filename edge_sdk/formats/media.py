"""The file that a frame is a picture of: a photo, a video, or the picture that the device keeps."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path, PurePath
from urllib.parse import quote

from edge_sdk.camera.files import VIDEO_SUFFIXES, camera_of, suffix_of_file
from edge_sdk.durable.files import write_whole
from edge_sdk.errors import ImageError
from edge_sdk.images.header import read_header
from edge_sdk.store.picture import read_picture
from edge_sdk.store.schema import JournalEntry
from edge_sdk.types import Region

_log = logging.getLogger(__name__)

FOLDER = "media"
"""Folder of copied pictures, beside the exported file."""

Box = tuple[float, float, float, float]
"""A region of a picture: left, top, width, height, as parts of the picture's width and height."""

_PLAIN = re.compile(r"[^./~=+@\s-][^\x00-\x1f\x7f]*")
_SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WebP": ".webp"}
_TYPES = {
    **dict.fromkeys(("jpg", "jpe", "jfif"), "jpeg"),
    **dict.fromkeys(("mpg", "ts", "mts", "m2ts"), "mpeg"),
    **{"tif": "tiff", "mov": "quicktime", "qt": "quicktime", "avi": "x-msvideo", "mkv": "x-matroska"},
    **{"wmv": "x-ms-wmv", "3gp": "3gpp", "3g2": "3gpp2"},
}


@dataclass(frozen=True, slots=True)
class Medium:
    """The file of a frame.

    Attributes:
        path: where it is, with "/": absolute or below a base folder, or below the folder of the exported file.
        media_type: such as "image/jpeg".
        camera: what took it: the file's folder, or the source of a live camera.
        is_video: frames of one video have the same `path`.
        is_copied: the file is a copy of the picture that the device kept.
        is_file: it is a file that the device read; else the picture was the device's own.
        size: width and height in pixels, where they are known.
        given: the path as the device had it.
        box: of a copy, where in it something moved; None: not known, or all of it.
    """

    path: str
    media_type: str
    camera: str
    is_video: bool = False
    is_copied: bool = False
    is_file: bool = False
    size: tuple[int, int] | None = None
    given: str = ""
    box: Box | None = None

    @property
    def uri(self) -> str:
        """`path`, as a `file:` address where it is absolute or could not stand as a relative path of a data package."""
        if _PLAIN.fullmatch(self.path) and ".." not in self.path:
            return self.path
        absolute = Path(self.given or self.path).absolute().as_posix()
        return "file://" + quote(absolute, errors="replace").replace("..", "%2E%2E")


class Media:
    """Finds the files of frames, and copies those pictures that are asked for.

    Args:
        state: the state folder.
        base: paths of photos and videos below this folder are relative to it; None: all are as the device had them.
        copies: folder for the exported file, in which `media/` receives the pictures that the device keeps of live
            cameras; None: none is copied.
    """

    def __init__(self, state: Path, *, base: Path | None = None, copies: Path | None = None) -> None:
        self._state, self._base, self._copies = state, base, copies

    def of(self, entry: JournalEntry) -> Medium:
        """The file of a frame.

        Raises:
            OSError: a copy cannot be written.
        """
        source = entry.answer.source
        if suffix := suffix_of_file(source):
            path, is_video = PurePath(source), suffix in VIDEO_SUFFIXES
            media_type = f"{'video' if is_video else 'image'}/{_TYPES.get(suffix[1:], suffix[1:])}"
            below = self._below_base(path)
            return Medium(below, media_type, camera_of(source), is_video, is_file=True, given=path.as_posix())
        copied = self._copy(entry) if self._copies is not None and entry.picture is not None else None
        return copied or Medium(f"{FOLDER}/{entry.answer.frame_id}.jpg", "image/jpeg", source)

    def _below_base(self, path: PurePath) -> str:
        if self._base is not None:
            for below, base in ((path, self._base), (Path(path).absolute(), self._base.absolute())):
                if below.is_relative_to(base):
                    return below.relative_to(base).as_posix()
        return path.as_posix()

    def _copy(self, entry: JournalEntry) -> Medium | None:
        """The copied picture; None where it is gone or damaged."""
        assert self._copies is not None and entry.picture is not None
        frame_id, item = entry.answer.frame_id, read_picture(self._state, entry)
        if item is None:
            return None
        try:
            header = read_header(item.image, tuple(_SUFFIXES))
        except ImageError as error:
            _log.warning("the picture of %s cannot be used: %s", frame_id, error)
            return None
        path = f"{FOLDER}/{frame_id}{_SUFFIXES[header.format]}"
        write_whole(self._copies / path, item.image)
        kind = f"image/{header.format.lower()}"
        size = header.width, header.height
        box = None if item.region is None else box_of(item.region, size)
        return Medium(path, kind, entry.answer.source, is_copied=True, size=size, box=box)


def box_of(region: Region, size: tuple[int, int]) -> Box:
    """A region in pixels of a picture of that width and height, as parts of them, to six digits."""
    left, right, top, bottom = (
        round(min(1.0, edge / side), 6)
        for edges, side in zip(
            ((region.x, region.x + region.width), (region.y, region.y + region.height)), size, strict=True
        )
        for edge in edges
    )
    return left, top, round(right - left, 6), round(bottom - top, 6)
