"""Anything that holds one picture into a `Frame`: an array, a path, encoded bytes."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

from edge_sdk.durable.clock import RELEASED_S
from edge_sdk.errors import ImageError
from edge_sdk.images.capture_time import is_plausible
from edge_sdk.images.exif import Exif
from edge_sdk.images.read import decode_image, read_image
from edge_sdk.types import Frame, Image, from_bgr, new_frame_id

Picture = Frame | Image | str | Path | bytes
"""One picture: a frame, an array `uint8 (H, W, 3)`, the path of an image file, or an image file's bytes."""


def as_frame(picture: Picture, *, bgr: bool = False) -> Frame:
    """The frame of a picture.

    The capture time of a file is its EXIF time, else the time of its last change; of encoded bytes their EXIF time,
    else now; of an array now. The source of a file is its path.

    Args:
        picture: what holds the picture. A frame is returned as it is.
        bgr: the array's channels are in OpenCV's order, blue first.

    Raises:
        ImageError: it is not a picture, or cannot be decoded; or `bgr` is set with something that is not an array.
    """
    if isinstance(picture, str | Path):
        _no_bgr(bgr, "a path")
        return read_frame(Path(picture))
    if isinstance(picture, bytes | bytearray | memoryview):
        _no_bgr(bgr, "encoded bytes")
        loaded = decode_image(bytes(picture))
        return Frame(loaded.image, loaded.captured_at or datetime.now(UTC))
    if isinstance(picture, Frame):
        _no_bgr(bgr, "a Frame (Frame.from_bgr makes one of a BGR array)")
        return picture
    return Frame(from_bgr(picture) if bgr else picture)


def read_frame(
    path: Path,
    *,
    truth: str | None = None,
    zone: tzinfo | None = None,
    clock_offset: timedelta = timedelta(0),
    before: datetime | None = None,
    frame_id: str | None = None,
) -> Frame:
    """The frame of an image file. Its source is the path; its capture time is EXIF's, else the last change's, else now.

    A capture time that cannot be (the camera's clock was not set, or is ahead) gives way to the next of these, and the
    frame's `note` says so.

    Args:
        path: a JPEG, PNG, WebP, BMP or TIFF file.
        truth: the true label, where it is known.
        zone: the zone of times without one; None: the local zone.
        clock_offset: what is added to the camera's times.
        before: capture time of the picture before, `clock_offset` included: it tells which of two hours is meant when
            summer time ends.
        frame_id: as `Frame.frame_id`; None: a fresh one.

    Raises:
        ImageError: the file cannot be read or decoded.
    """
    if path.is_dir():
        raise ImageError(f"expected an image file; {path} is a folder, which open_camera reads")
    loaded = read_image(path, zone=zone)
    earlier = None if before is None else before - clock_offset
    captured_at, note = _captured_at(loaded.exif, path, clock_offset, earlier, datetime.now(UTC))
    return Frame(loaded.image, captured_at, str(path), frame_id or new_frame_id(), truth, still=True, note=note)


def changed_at(path: Path | str, clock_offset: timedelta = timedelta(0)) -> datetime | None:
    """The time of a file's last change, `clock_offset` added; None where it cannot be right, or the file is gone."""
    try:
        moment = datetime.fromtimestamp(os.stat(path).st_mtime, UTC) + clock_offset
    except (OSError, OverflowError, ValueError):  # network shares give years beyond 9999
        return None
    return moment if is_plausible(moment, latest(datetime.now(UTC))) else None


def latest(now: datetime) -> datetime:
    """The latest time that can be right: `now`, unless this machine's own clock is not set."""
    return now if now.timestamp() >= RELEASED_S else datetime.max.replace(tzinfo=UTC) - timedelta(days=2)


def _captured_at(
    exif: Exif, path: Path, clock_offset: timedelta, before: datetime | None, now: datetime
) -> tuple[datetime, str]:
    """The capture time, and what is to be said of it."""
    note = "the camera's clock was not set" if exif.unset else ""
    if (captured := exif.captured) is not None:
        shown = captured.after(before)
        try:
            if is_plausible(moment := shown + clock_offset, latest(now)):
                return (
                    moment,
                    "the camera's clock showed a time that summer time leaves out" if captured.skipped else "",
                )
        except OverflowError:
            pass
        note = f"the camera's clock showed {shown:%Y-%m-%d %H:%M}, which cannot be"
    if (changed := changed_at(path, clock_offset)) is not None:
        return changed, f"{note}: the time is that of the file's last change" if note else ""
    return now, f"{note or 'the date of the file cannot be'}: the time is that of reading"


def _no_bgr(bgr: bool, came: str) -> None:
    if bgr:
        raise ImageError(f"expected an array with bgr=True, which tells the order of its channels; got {came}")
