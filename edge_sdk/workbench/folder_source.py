"""Labelled pictures in a folder with a sub-folder for each class."""

from __future__ import annotations

import copy
import hashlib
import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from edge_sdk.camera.files import VIDEO_SUFFIXES
from edge_sdk.errors import ImageError, WorkbenchError
from edge_sdk.images.read import IMAGE_SUFFIXES, read_image
from edge_sdk.workbench.burst_regions import BurstRegions
from edge_sdk.workbench.labelled import LabelledImage, Split

_log = logging.getLogger(__name__)
_FILES_PER_PART = 250


class FolderSource:
    """Pictures in a folder. Its sub-folders are the classes; pictures outside a sub-folder have no label.

    Folders below those of the classes are places: `fox/camera 3/x.jpg` and `empty/camera 3/y.jpg` are of one. A photo's
    capture time is that of its EXIF block. A file that cannot be decoded is logged and skipped.

    Raises:
        WorkbenchError: there is no such folder, or no picture of this split in it.
    """

    def __init__(self, root: Path, split: Split, leave_out: frozenset[Path] = frozenset()) -> None:
        if not root.is_dir():
            raise WorkbenchError(f"expected a folder of pictures or simulated://...; got {str(root)!r}")
        files = picture_files(root)
        names = {path: path.relative_to(root).as_posix() for path in files}
        self.labels = tuple(sorted({names[path].split("/")[0] for path in files if "/" in names[path]}))
        self._root, self._all = root, files
        self._bursts: BurstRegions | None = None
        mine = [path for path in files if split in (Split.ALL, split_of(names[path]))]
        self._files = [path for path in mine if path not in leave_out]
        videos = _videos_text(root) if split in (Split.ALL, Split.TRAIN) or not files else ""
        if not self._files:
            raise WorkbenchError(
                f"expected pictures of the {split} split in {root}; got {len(files)} pictures in all"
                f"{f'. {videos}' if videos else ''}"
            )
        if videos:
            _log.warning("%s", videos)
        self.parts = -(-len(self._files) // _FILES_PER_PART)
        facts = [f"{names[path]} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in self._files]
        self.key = hashlib.sha256("\n".join(facts).encode(errors="surrogateescape")).hexdigest()[:16]

    def with_regions(self) -> FolderSource:
        """The same pictures, those of a place with the region in which they differ from the bursts before."""
        found = copy.copy(self)
        names = [(self._name(path), path) for path in self._all]
        found._bursts = BurstRegions((name, _place_of(name), path) for name, path in names)
        facts = "".join(f"{name} {path.stat().st_size} {path.stat().st_mtime_ns}\n" for name, path in names)
        found.key = hashlib.sha256(f"{self.key} bursts\n{facts}".encode(errors="surrogateescape")).hexdigest()[:16]
        return found

    def size(self, part: int) -> int:
        """Number of files in a part."""
        return min(_FILES_PER_PART, len(self._files) - part * _FILES_PER_PART)

    def read(self, part: int) -> Iterator[LabelledImage]:
        """The pictures of one part."""
        yield from self.read_files(self._files[part * _FILES_PER_PART : (part + 1) * _FILES_PER_PART])

    def listed(self) -> list[tuple[str, str | None, Path]]:
        """Name, label (or None) and file of each picture, without reading it: one that is broken is listed too."""
        return [(self._name(path), _label_of(self._name(path)), path) for path in self._files]

    def in_turn(self, seed: int) -> list[Path]:
        """All files, the classes in turn, each class in random order: any first part is spread over the classes."""
        return _in_turn(self._by_class(seed))

    def deal(self, seed: int) -> tuple[list[Path], list[Path]]:
        """Two disjoint lists of files: the training split's, the classes in turn; and the others, in random order.

        A class that has no file in the training split lends one of its own to the first list.
        """
        first, others = [], []
        for files in self._by_class(seed):
            mine = [path for path in files if split_of(self._name(path)) is Split.TRAIN] or files[:1]
            first.append(mine)
            others += sorted(set(files).difference(mine))
        return _in_turn(first), sorted(others, key=lambda path: self._rank(path, seed))

    def _by_class(self, seed: int) -> list[list[Path]]:
        classes: dict[str, list[Path]] = {}
        for path in self._files:
            classes.setdefault(self._name(path).rpartition("/")[0].split("/")[0], []).append(path)
        return [sorted(files, key=lambda path: self._rank(path, seed)) for files in classes.values()]

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _rank(self, path: Path, seed: int) -> bytes:
        return hashlib.sha256(f"{seed} {self._name(path)}".encode(errors="surrogateescape")).digest()

    def read_files(self, files: Sequence[Path]) -> Iterator[LabelledImage]:
        """The pictures of these files, in order, without those that cannot be read."""
        for path in files:
            try:
                loaded = read_image(path)
            except ImageError as error:
                _log.warning("left out: %s", error)
                continue
            name = self._name(path)
            taken = loaded.captured_at
            yield LabelledImage(
                loaded.image,
                _label_of(name),
                str(path),
                name=name,
                region=None if self._bursts is None else self._bursts.of(name, _place_of(name)),
                place=_place_of(name),
                moved_at=math.nan if taken is None else taken.timestamp(),
            )


def _label_of(name: str) -> str | None:
    """The class of a picture: the folder that it lies in, below the root."""
    return name.split("/")[0] if "/" in name else None


def _place_of(name: str) -> str:
    """The place of a picture: the folders below that of its class."""
    return "/".join(name.split("/")[1:-1])


def _in_turn(classes: Iterable[Sequence[Path]]) -> list[Path]:
    return [path for turn in zip_longest(*classes) for path in turn if path is not None]


def picture_files(folder: Path) -> list[Path]:
    """All pictures below a folder, sorted, without hidden files and folders.

    Links to folders are followed, except a link to a folder that contains it; dangling links are logged and skipped.
    """
    return sorted(_files(folder, IMAGE_SUFFIXES))


def _videos_text(folder: Path) -> str:
    """That the videos below a folder are left out; "": there are none."""
    videos = sorted(_files(folder, VIDEO_SUFFIXES))
    if not videos:
        return ""
    return (
        f"videos in {folder} are left out: {len(videos)}, such as {videos[0].relative_to(folder)}. A label is of a "
        "picture, and frames of a video have none of their own: save some as pictures with capture times (EXIF)"
    )


def _files(folder: Path, suffixes: frozenset[str], above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    above |= {folder.resolve()}
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if path.resolve() not in above:
                yield from _files(path, suffixes, above)
        elif path.suffix.lower() in suffixes:
            if path.exists():
                yield path
            else:
                _log.warning("left out: %s is a link to nothing", path)


def split_of(name: str) -> Split:
    """The split of a file, from the hash of its name (with its folders below the root, `/` between them)."""
    bucket = int.from_bytes(hashlib.sha256(name.encode(errors="surrogateescape")).digest()[:8], "big") % 10
    return {0: Split.VAL, 1: Split.CALIBRATION, 2: Split.TEST}.get(bucket, Split.TRAIN)
