"""Anything that holds one picture into a `Frame`: an array, a path, encoded bytes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from edge_sdk.errors import ImageError
from edge_sdk.images.read import decode_image, read_image
from edge_sdk.types import Frame, Image, from_bgr

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


def read_frame(path: Path, *, truth: str | None = None) -> Frame:
    """The frame of an image file. Its source is the path; its capture time is EXIF's, else the last change's, else now.

    Args:
        path: a JPEG, PNG, WebP, BMP or TIFF file.
        truth: the true label, where it is known.

    Raises:
        ImageError: the file cannot be read or decoded.
    """
    if path.is_dir():
        raise ImageError(f"expected an image file; {path} is a folder, which open_camera reads")
    loaded = read_image(path)
    return Frame(loaded.image, loaded.captured_at or _changed_at(path), str(path), truth=truth)


def _changed_at(path: Path) -> datetime:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except (OSError, OverflowError, ValueError):  # it was just removed, or a network share gives a year beyond 9999
        return datetime.now(UTC)


def _no_bgr(bgr: bool, came: str) -> None:
    if bgr:
        raise ImageError(f"expected an array with bgr=True, which tells the order of its channels; got {came}")
