"""Which pictures the frame archive has: its file of answers, read as it grows."""

from __future__ import annotations

import json
import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path

from cloud_server.fleet.archive_folder import ANSWERS, safe_name

_FILE = re.compile(rb'"file": ?"(\d{4}-\d\d-\d\d/([0-9a-z][0-9a-z_-]{0,63})\.(jpg|png|webp))"')
_MOST_LINE = 64 << 10


@dataclass(frozen=True, slots=True)
class ArchivedPicture:
    """A picture of the archive.

    Attributes:
        path: the file.
        device: whose it is.
        region: left, top, width and height of what moved, in pixels of the upright picture; None: not told.
        size: width and height of the upright picture; None: not told.
        top: the likeliest labels of the big model with their probabilities.
    """

    path: Path
    device: str
    region: tuple[int, int, int, int] | None
    size: tuple[int, int] | None
    top: dict[str, float]


class ArchiveIndex:
    """Finds pictures by frame id, from any thread.

    Args:
        folder: the archive's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._guard = threading.Lock()
        self._places: dict[str, int] = {}  # name -> where its line begins
        self._read_to = 0
        self._file: tuple[int, int] = (0, 0)

    def has(self, frame_id: str) -> bool:
        """Whether there was a picture of this frame when the file of answers was read last (`look`)."""
        return safe_name(frame_id) in self._places

    def look(self) -> None:
        """Read what was added; a file that was replaced is read anew."""
        with self._guard:
            try:
                with open(self._folder / ANSWERS, "rb") as file:
                    seen = os.fstat(file.fileno())
                    if self._file != (seen.st_dev, seen.st_ino) or seen.st_size < self._read_to:
                        self._file, self._read_to, self._places = (seen.st_dev, seen.st_ino), 0, {}
                    file.seek(self._read_to)
                    for line in file:
                        if not line.endswith(b"\n"):
                            break
                        if found := _FILE.search(line):
                            self._places[found[2].decode()] = self._read_to
                        self._read_to += len(line)
            except FileNotFoundError:
                self._read_to, self._places = 0, {}

    def find(self, frame_id: str, device: str) -> ArchivedPicture | None:
        """The picture of a device's frame; None: there is none, or it was taken away."""
        place = self._places.get(safe_name(frame_id))
        if place is None:
            return None
        try:
            with open(self._folder / ANSWERS, "rb") as file:
                file.seek(place)
                line = file.readline(_MOST_LINE)
            named = _FILE.search(line)
            fields = json.loads(line)
            path = self._folder / (named[1].decode() if named else "")
            if named is None or fields.get("device") != device or not path.is_file():
                return None
            region, size = fields.get("region"), fields.get("size")
            top = {str(label): float(share) for label, share in dict(fields.get("top") or {}).items()}
            return ArchivedPicture(path, device, _numbers(region, 4), _numbers(size, 2), top)  # type: ignore[arg-type]
        except (OSError, ValueError, TypeError, AttributeError):
            return None


def _numbers(given: object, count: int) -> tuple[int, ...] | None:
    if not isinstance(given, list) or len(given) != count or not all(isinstance(one, int) for one in given):
        return None
    return tuple(given)
