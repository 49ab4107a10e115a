"""The pictures of a device's archive as plain files for people: names, folders, and what each file says of itself."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path, PurePath

from edge_sdk import __version__
from edge_sdk.camera.files import camera_of
from edge_sdk.durable.files import write_whole
from edge_sdk.images.header import read_header
from edge_sdk.images.metadata import Metadata, with_metadata
from edge_sdk.store.picture import read_picture
from edge_sdk.store.schema import JournalEntry
from edge_sdk.types import is_frame_id

SOFTWARE = f"edge-sdk {__version__}"
_SUFFIXES = {"JPEG": ".jpg", "WebP": ".webp"}
_CROP = "_crop"
_UNSAFE = re.compile(r"[^\w.-]+")
_LONGEST = 40  # characters of a camera or a label in a name


@dataclass(slots=True)
class Exported:
    """What an export has done so far.

    Attributes:
        written: files that were written.
        there: pictures whose files were there already.
        gone: pictures that could not be read: they went meanwhile, or are damaged.
    """

    written: int = 0
    there: int = 0
    gone: int = 0

    @property
    def seen(self) -> int:
        """All pictures."""
        return self.written + self.there + self.gone


class PictureFiles:
    """Writes kept pictures as `TIME_CAMERA_LABEL_ID.jpg` or `.webp`, with EXIF and XMP. A file that is there stays.

    The name says all that the file's content depends on, so an export that was stopped goes on where it was.

    Args:
        state: the state folder.
        out: folder for the files; it is made.
        by_class: in a folder for each label.
        crop: the close-ups too, where they are kept, as `..._crop.jpg`.

    Attributes:
        done: what was done so far.
    """

    def __init__(self, state: Path, out: Path, *, by_class: bool = False, crop: bool = False) -> None:
        self._state, self._out, self._by_class, self._crop = state, out, by_class, crop
        self.done = Exported()

    def write(self, entry: JournalEntry) -> None:
        """Write one picture.

        Raises:
            OSError: it cannot be written.
            ImageError: what the archive holds is no JPEG or WebP file.
        """
        name = file_name(entry)
        folder = self._out / _safe(entry.answer.label or "unknown") if self._by_class else self._out
        whole = _is_there(folder / name)
        if whole and (not self._crop or _is_there(folder / f"{name}{_CROP}")):
            self.done.there += 1
            return
        item = read_picture(self._state, entry)
        if item is None:
            self.done.gone += 1
            return
        if self._crop and item.crop:
            _write(folder / f"{name}{_CROP}", item.crop, entry)
        if whole:
            self.done.there += 1
            return
        _write(folder / name, item.image, entry)
        self.done.written += 1


def _is_there(path: Path) -> bool:
    return any(path.with_name(f"{path.name}{suffix}").exists() for suffix in _SUFFIXES.values())


def _write(path: Path, picture: bytes, entry: JournalEntry) -> None:
    suffix = _SUFFIXES[read_header(picture, tuple(_SUFFIXES)).format]
    write_whole(path.with_name(f"{path.name}{suffix}"), with_metadata(picture, metadata_of(entry)))


def file_name(entry: JournalEntry) -> str:
    """Time in the camera's zone, camera, label, and the end of the frame's id, which tells twins apart; no suffix."""
    answer, at = entry.answer, entry.answer.captured_at
    time = f"{at.year:04d}{at.month:02d}{at.day:02d}-{at.hour:02d}{at.minute:02d}{at.second:02d}"
    camera, scheme, address = camera_of(answer.source).partition("://")
    name = _safe(address.partition("?")[0] if scheme else PurePath(camera).name)
    return f"{time}_{name or 'camera'}_{_safe(answer.label or 'unknown')}_{_safe(answer.frame_id[-8:])}"


def metadata_of(entry: JournalEntry) -> Metadata:
    """What the picture of a frame says of itself."""
    answer = entry.answer
    label = answer.label or "unknown"
    known = {
        "label": answer.label,
        "confidence": round(answer.confidence, 4),
        "origin": answer.origin.value,
        "reason": answer.reason.value,
        "model": entry.cloud_model if entry.cloud is not None else entry.model,
        "frame": answer.frame_id,
        "event": entry.event or None,
        "truth": entry.truth,
    }
    return Metadata(
        captured_at=answer.captured_at,
        camera=camera_of(answer.source),
        description=f"{label}, {answer.confidence:.0%}, {answer.origin.value}",
        software=SOFTWARE,
        comment=json.dumps({name: value for name, value in known.items() if value is not None}),
        keywords=(label,),
        unique_id=answer.frame_id if is_frame_id(answer.frame_id) else "",
    )


def _safe(text: str) -> str:
    """Text as part of a file's name, of letters, digits, "_", "." and "-"."""
    return _UNSAFE.sub("-", text)[:_LONGEST].strip("-._")
