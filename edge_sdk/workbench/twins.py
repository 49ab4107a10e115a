"""Pictures of a task that are there twice, with the splits and classes in which they lie."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from edge_sdk.durable.files import write_whole
from edge_sdk.errors import ImageError
from edge_sdk.images.read import read_image
from edge_sdk.workbench.duplicates import SIDE, find_pairs, thumbnail
from edge_sdk.workbench.folder_source import split_of
from edge_sdk.workbench.labelled import Split
from edge_sdk.workbench.photo_list import is_list, photos_in

_log = logging.getLogger(__name__)

OnDone = Callable[[int, int], None]
"""Called with the pictures done, and of how many."""


@dataclass(frozen=True, slots=True)
class Place:
    """A picture file, and what it is used for.

    Attributes:
        path: of the file.
        part: the split, or the name of another part of the data.
        label: its class; "" if unknown.
    """

    path: Path
    part: str
    label: str


@dataclass(frozen=True, slots=True)
class Twin:
    """A picture that is there twice.

    Attributes:
        first: the one file.
        second: the other.
        same: the pixels are equal, as far as 16x16 grey levels tell; else they are nearly so.
    """

    first: Place
    second: Place
    same: bool

    @property
    def across_parts(self) -> bool:
        """Whether the two lie in different splits."""
        return self.first.part != self.second.part

    @property
    def across_labels(self) -> bool:
        """Whether the two lie under different classes."""
        return self.first.label != self.second.label


def places_in(folder: Path, part: str | None = None) -> list[Place]:
    """The pictures of a folder with a sub-folder for each class, or of a CSV.

    Args:
        folder: the root, or the CSV.
        part: their part; None: the split that the hash of each name gives.
    """
    return [Place(one.path, part or split_of(one.name).value, one.label or "") for one in photos_in(folder)]


def find_twins(places: Sequence[Place], *, cache: Path | None = None, on_done: OnDone | None = None) -> list[Twin]:
    """Pictures that are there twice in different splits or under different classes; others do no harm.

    Args:
        places: the files. One that cannot be read is left out.
        cache: folder in which thumbnails are kept; default: in the user's cache folder.
        on_done: called while pictures are read, which is done once for the same files.
    """
    thumbnails, readable = _thumbnails([place.path for place in places], cache, on_done)
    kept = [place for place, there in zip(places, readable, strict=True) if there]
    twins = [Twin(kept[pair.first], kept[pair.second], pair.same) for pair in find_pairs(thumbnails[readable])]
    return [twin for twin in twins if twin.across_parts or twin.across_labels]


def to_leave_out(twins: Iterable[Twin], part: str = Split.TRAIN.value) -> frozenset[Path]:
    """The files of a part to do without so that none of its pictures is in another part, or under two classes."""
    found = set()
    for twin in twins:
        both = [place.path for place in (twin.first, twin.second) if place.part == part]
        found.update(both if twin.across_parts or twin.across_labels else [])
    return frozenset(found)


def without_twins(data: str, val: str | None = None) -> frozenset[Path]:
    """The training pictures to do without (`to_leave_out`); none of the simulated camera, which draws none twice.

    Args:
        data: address of the data.
        val: address of validation pictures that lie elsewhere.
    """
    places = places_of(data)
    if val is not None:
        places += places_of(val, Split.VAL.value)
    return to_leave_out(find_twins(places))


def places_of(data: str, part: str | None = None) -> list[Place]:
    """As `places_in`; an address that is no folder and no list has none."""
    return places_in(Path(data), part) if Path(data).is_dir() or is_list(data) else []


def _thumbnails(
    paths: Sequence[Path], cache: Path | None, on_done: OnDone | None
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Thumbnails `uint8 (N, 16, 16)`, and which files could be read, `bool (N,)`."""
    folder = user_cache_path("edge-sdk", appauthor=False) / "thumbnails" if cache is None else cache
    digest = hashlib.sha256()
    for path in paths:
        stat = path.stat()
        digest.update(f"{path.absolute()} {stat.st_size} {stat.st_mtime_ns}\n".encode(errors="surrogateescape"))
    file = folder / f"{digest.hexdigest()[:16]}.npz"
    if file.exists():
        with np.load(file) as kept:
            return kept["thumbnails"], kept["readable"]
    thumbnails = np.zeros((len(paths), SIDE, SIDE), np.uint8)
    readable = np.zeros(len(paths), np.bool_)
    for index, path in enumerate(paths):
        try:
            thumbnails[index] = thumbnail(read_image(path).image)
            readable[index] = True
        except ImageError as error:
            _log.info("not compared: %s", error)
        if on_done is not None:
            on_done(index + 1, len(paths))
    write_whole(file, partial(np.savez, thumbnails=thumbnails, readable=readable))
    return thumbnails, readable
