"""Which photos there are, what they show and where they were taken: class folders, or a CSV that names the files."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from edge_sdk.camera.files import VIDEO_SUFFIXES, natural_key
from edge_sdk.errors import WorkbenchError
from edge_sdk.images.capture_time import capture_time, parse_date
from edge_sdk.images.exif import Exif
from edge_sdk.images.read import IMAGE_SUFFIXES
from edge_sdk.workbench.observations import rows_of

_log = logging.getLogger(__name__)
_COLUMNS = {
    "file": ("file", "filename", "filepath", "path", "image", "id"),
    "place": ("place", "camera", "deployment", "locationid", "site"),
}
_TIME_IN_NAME = re.compile(
    r"(?<!\d)((?:19|20)\d\d)[-_.]?([01]\d)[-_.]?([0-3]\d)[-_. T]*([0-2]\d)[-_.:]?([0-5]\d)[-_.:]?([0-5]\d)(?!\d)",
    re.ASCII,
)
NO_FOLDER = "expected a folder of pictures, a CSV of files and labels, or simulated://...; got {}"


@dataclass(frozen=True, slots=True)
class Photo:
    """One file.

    Attributes:
        path: of the file.
        name: its path below the folder, or the CSV's, with `/` between the parts.
        label: what it shows; None: unknown.
        place: what stood still while it was taken: photos of one place are of one camera; "": unknown.
        taken: when, by the CSV; None: it does not say.
    """

    path: Path
    name: str
    label: str | None
    place: str = ""
    taken: datetime | None = None

    @property
    def order(self) -> list[tuple[tuple[int, int | str], ...]]:
        """Sort key: the camera's own order, whatever class folder a photo lies in."""
        return natural_key(self.path.name)

    def taken_at(self, exif: Exif) -> datetime | None:
        """When it was taken: by the CSV, its EXIF block or its name; None: none of them says."""
        return self.taken or exif.captured_at or time_in(self.path.stem)


def is_list(address: str) -> bool:
    """Whether an address is that of a CSV with files and labels."""
    return address.lower().endswith((".csv", ".tsv"))


def photos_in(root: Path) -> list[Photo]:
    """The photos of a folder with a sub-folder for each class, or of a CSV, in order of their names.

    Folders below those of the classes are places: `fox/camera 3/x.jpg` and `empty/camera 3/y.jpg` are of one. A CSV has
    the columns `file` (below its own folder) and `label`, and if need be `place` and `date`; without a place it is the
    folder that a file lies in, as the device takes the folders of a card for its cameras.

    Raises:
        WorkbenchError: there is no such folder or file, a column is missing, or a file has two labels.
    """
    if is_list(str(root)) and not root.is_dir():
        return _listed(root)
    if not root.is_dir():
        raise WorkbenchError(NO_FOLDER.format(repr(str(root))))
    found = []
    for path in picture_files(root):
        parts = path.relative_to(root).parts
        label = parts[0] if len(parts) > 1 else None
        found.append(Photo(path, "/".join(parts), label, "/".join(parts[1:-1])))
    return found


def time_in(name: str) -> datetime | None:
    """The time that stands in a file's name, such as `CAM3_20260501_100000`, by the local zone; None: none does."""
    match = _TIME_IN_NAME.search(name)
    return None if match is None else _moment("{}-{}-{} {}:{}:{}".format(*match.groups()))


def _moment(text: str) -> datetime | None:
    read = parse_date(text)
    if read is None:
        return None
    found = capture_time(*read)
    return None if found is None else found.at


def _listed(table: Path) -> list[Photo]:
    if not table.is_file():
        raise WorkbenchError(NO_FOLDER.format(repr(str(table))))
    found: dict[str, Photo] = {}
    missing: list[str] = []
    videos = 0
    for line, row in rows_of(table, needed=("file", "label"), more=_COLUMNS):
        name = os.path.normpath(row["file"].replace("\\", "/")) if row["file"] else ""
        path = table.parent / name
        if not name:
            continue
        if path.suffix.lower() not in IMAGE_SUFFIXES or not path.is_file():
            videos += path.suffix.lower() in VIDEO_SUFFIXES
            missing.append(name)
            continue
        if row.get("date") and _moment(row["date"]) is None:
            raise WorkbenchError(
                f"{table}, line {line}: expected a time such as 2026-05-31 06:12:09; got {row['date']!r}"
            )
        place = row.get("place") or Path(name).parent.as_posix()
        photo = Photo(path, name, row["label"] or None, place, _moment(row.get("date", "")))
        if found.setdefault(name, photo).label != photo.label:
            raise WorkbenchError(
                f"{table}, line {line}: expected one label for each file; {name} has {found[name].label!r} and "
                f"{photo.label!r}"
            )
    if missing:
        what = f"{len(missing)} files of {table} are not there or are no pictures, such as {missing[0]}"
        what += f" ({videos} are videos, whose frames have no label)" if videos else ""
        if not found:
            raise WorkbenchError(f"expected files by their paths below {table.parent}; {what}")
        _log.warning("left out: %s", what)
    return [found[name] for name in sorted(found)]


def picture_files(folder: Path) -> list[Path]:
    """All pictures below a folder, sorted, without hidden files and folders.

    Links to folders are followed, except a link to a folder that contains it; dangling links are logged and skipped.
    """
    return sorted(_files(folder, IMAGE_SUFFIXES))


def videos_text(folder: Path) -> str:
    """That the videos below a folder are left out; "": there are none."""
    videos = sorted(_files(folder, VIDEO_SUFFIXES)) if folder.is_dir() else []
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
