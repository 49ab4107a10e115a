"""Photographs in a folder, or a single one, as a camera."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from edge_sdk.camera.base import CameraBase, OnFault
from edge_sdk.errors import CameraError, ImageError
from edge_sdk.images.frame import read_frame
from edge_sdk.images.read import IMAGE_SUFFIXES
from edge_sdk.types import Frame


def natural_key(path: str) -> list[tuple[tuple[int, int | str], ...]]:
    """Sort key under which `img2` comes before `img10`, folder by folder, upper and lower case alike."""
    return [
        tuple((0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", level.lower()))
        for level in path.split(os.sep)
    ]


class FolderCamera(CameraBase):
    """Every photograph under a folder, in natural order of their paths.

    A frame's source is the file's path. Its capture time is the file's EXIF time, else the time of the file's last
    change. A file that cannot be used is reported as a fault and passed over.

    Args:
        path: a folder, searched at all depths (hidden files and folders left out; links to folders not followed), or
            one image file.
        truth_from_folders: take the name of the first folder below `path` as the true label of the frames in it.
        on_fault: called with each file that cannot be used.

    Raises:
        CameraError: there is no such path, or no image in it.
    """

    def __init__(self, path: Path | str, *, truth_from_folders: bool = False, on_fault: OnFault | None = None) -> None:
        super().__init__(on_fault)
        self._root = Path(path)
        self._truth_from_folders = truth_from_folders
        if not self._root.exists():
            raise CameraError(f"there is no file or folder {self._root}")
        self._files = [""] if self._root.is_file() else self._search()

    def __len__(self) -> int:
        """Number of image files."""
        return len(self._files)

    def __iter__(self) -> Iterator[Frame]:
        for file in self._files:
            if self._stopped.is_set():
                return
            path = self._root / file
            try:
                frame = read_frame(path, truth=self._truth(file))
            except ImageError as error:
                self._report(str(path), error)
            else:
                yield frame

    def _search(self) -> list[str]:
        found: list[str] = []
        failed: list[OSError] = []
        others = 0
        for folder, folders, files in os.walk(self._root, onerror=failed.append):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in files:
                if not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES:
                    found.append(os.path.relpath(os.path.join(folder, name), self._root))
                else:
                    others += 1
        for error in failed:
            self._report(str(error.filename), CameraError(f"{error.filename}: cannot be read: {error.strerror}"))
        if not found:
            suffixes = ", ".join(sorted(IMAGE_SUFFIXES))
            raise CameraError(f"expected images ({suffixes}) in the folder {self._root}; got {others} other files")
        return sorted(found, key=natural_key)

    def _truth(self, file: str) -> str | None:
        return file.split(os.sep)[0] if self._truth_from_folders and os.sep in file else None
