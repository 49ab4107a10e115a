"""Labelled pictures in a folder with a sub-folder for each class, or in a list of files."""

from __future__ import annotations

import copy
import hashlib
import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path

from edge_sdk.errors import ImageError, WorkbenchError
from edge_sdk.images.read import read_image
from edge_sdk.workbench.labelled import LabelledImage, Split
from edge_sdk.workbench.photo_list import photos_in, videos_text
from edge_sdk.workbench.region_finder import RegionFinder

_log = logging.getLogger(__name__)
_FILES_PER_PART = 250


class FolderSource:
    """Photos of class folders or of a CSV (`edge_sdk.workbench.photo_list`). Those outside a class have no label.

    A photo's capture time is that of the CSV, of its EXIF block or of its name. A file that cannot be decoded is logged
    and skipped.

    Raises:
        WorkbenchError: there is no such folder or file, or no picture of this split in it.
    """

    def __init__(self, root: Path, split: Split, leave_out: frozenset[Path] = frozenset()) -> None:
        self.photos = photos_in(root)
        self._known = {photo.path: photo for photo in self.photos}
        self.labels = tuple(sorted({photo.label for photo in self.photos if photo.label is not None}))
        self._finder: RegionFinder | None = None
        mine = [one.path for one in self.photos if split in (Split.ALL, split_of(one.name))]
        self._files = [path for path in mine if path not in leave_out]
        videos = videos_text(root) if split in (Split.ALL, Split.TRAIN) or not self.photos else ""
        if not self._files:
            raise WorkbenchError(
                f"expected pictures of the {split} split in {root}; got {len(self.photos)} pictures in all"
                f"{f'. {videos}' if videos else ''}"
            )
        if videos:
            _log.warning("%s", videos)
        self.parts = -(-len(self._files) // _FILES_PER_PART)
        self.key = hashlib.sha256("\n".join(map(self._facts, self._files)).encode(errors="surrogateescape")).hexdigest()
        self.key = self.key[:16]

    def _facts(self, path: Path) -> str:
        """What of a file decides what is read."""
        one, stat = self._known[path], path.stat()
        facts = f"{one.name} {stat.st_size} {stat.st_mtime_ns}"
        by_folders = one.taken is None and "/".join(filter(None, (one.label, one.place, path.name))) == one.name
        return facts if by_folders else f"{facts} {one.label} {one.place} {one.taken}"

    def with_regions(self, finder: RegionFinder) -> FolderSource:
        """The same pictures, with the regions that are found in them."""
        found = copy.copy(self)
        found._finder = finder
        found.key = hashlib.sha256(f"{self.key} regions {finder.key}".encode()).hexdigest()[:16]
        return found

    def size(self, part: int) -> int:
        """Number of files in a part."""
        return min(_FILES_PER_PART, len(self._files) - part * _FILES_PER_PART)

    def read(self, part: int) -> Iterator[LabelledImage]:
        """The pictures of one part."""
        yield from self.read_files(self._files[part * _FILES_PER_PART : (part + 1) * _FILES_PER_PART])

    def listed(self) -> list[tuple[str, str | None, Path]]:
        """Name, label (or None) and file of each picture, without reading it: one that is broken is listed too."""
        return [(self._known[path].name, self._known[path].label, path) for path in self._files]

    def in_turn(self, seed: int) -> list[Path]:
        """All files, the classes in turn, each class in random order: any first part is spread over the classes."""
        return _in_turn(self._by_class(seed))

    def deal(self, seed: int) -> tuple[list[Path], list[Path]]:
        """Two disjoint lists of files: the training split's, the classes in turn; and the others, in random order.

        A class that has no file in the training split lends one of its own to the first list.
        """
        first, others = [], []
        for files in self._by_class(seed):
            mine = [path for path in files if split_of(self._known[path].name) is Split.TRAIN] or files[:1]
            first.append(mine)
            others += sorted(set(files).difference(mine))
        return _in_turn(first), sorted(others, key=lambda path: self._rank(path, seed))

    def _by_class(self, seed: int) -> list[list[Path]]:
        classes: dict[str, list[Path]] = {}
        for path in self._files:
            classes.setdefault(self._known[path].label or "", []).append(path)
        return [sorted(files, key=lambda path: self._rank(path, seed)) for files in classes.values()]

    def _rank(self, path: Path, seed: int) -> bytes:
        name = f"{seed} {self._known[path].name}"
        return hashlib.sha256(name.encode(errors="surrogateescape")).digest()

    def read_files(self, files: Sequence[Path]) -> Iterator[LabelledImage]:
        """The pictures of these files, in order, without those that cannot be read."""
        for path in files:
            try:
                loaded = read_image(path)
            except ImageError as error:
                _log.warning("left out: %s", error)
                continue
            photo = self._known[path]
            taken = photo.taken_at(loaded.exif)
            picture = LabelledImage(
                loaded.image,
                photo.label,
                str(path),
                name=photo.name,
                place=photo.place,
                moved_at=math.nan if taken is None else taken.timestamp(),
            )
            yield picture if self._finder is None else replace(picture, region=self._finder.of(picture))


def _in_turn(classes: Iterable[Sequence[Path]]) -> list[Path]:
    return [path for turn in zip_longest(*classes) for path in turn if path is not None]


def split_of(name: str) -> Split:
    """The split of a file, from the hash of its name (with its folders below the root, `/` between them)."""
    bucket = int.from_bytes(hashlib.sha256(name.encode(errors="surrogateescape")).digest()[:8], "big") % 10
    return {0: Split.VAL, 1: Split.CALIBRATION, 2: Split.TEST}.get(bucket, Split.TRAIN)
