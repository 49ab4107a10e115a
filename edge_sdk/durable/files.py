"""Files that are there whole or not at all, whenever a program or the power stops; damaged files set aside."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_log = logging.getLogger(__name__)

_COMPANIONS = ("", "-wal", "-shm", "-journal")


def write_whole(
    path: Path, content: bytes | str | Callable[[Path], object], *, durable: bool = False, mode: int | None = None
) -> None:
    """Write beside `path` and rename: a reader sees the old file or the new one. A missing folder is made.

    Args:
        path: the file.
        content: bytes, text (UTF-8), or a function that writes to the path it is given, which has the suffix of `path`.
        durable: the file is on the disk when this returns, and survives a power cut.
        mode: permissions; None: those of a new file.

    Raises:
        OSError: it cannot be written; the old file is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        fresh.unlink(missing_ok=True)
        if mode is not None:
            os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        if callable(content):
            content(fresh)
        else:
            fresh.write_bytes(content.encode() if isinstance(content, str) else content)
        if mode is not None:
            fresh.chmod(mode)
        if durable:
            sync(fresh)
        fresh.replace(path)
    except BaseException:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise
    if durable:
        sync(path.parent)


def sync(path: Path) -> None:
    """Put the content of a file, or the names in a folder, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Delete a file; log it where that fails."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        _log.error("cannot remove %s: %s", path, error)


def move(path: Path, target: Path | None) -> None:
    """Rename a file, or delete it where `target` is None; log it where that fails."""
    try:
        if target is None:
            path.unlink(missing_ok=True)
        else:
            path.replace(target)
    except OSError as error:
        _log.error("cannot move %s: %s", path, error)


def damaged_copy(path: Path) -> Path:
    """Where `set_aside` puts a damaged file."""
    return path.with_name(f"{path.name}.damaged")


def set_aside(path: Path, why: object) -> Path:
    """Rename a damaged SQLite file and its logs to `NAME.damaged`, in place of an earlier one; return the new path."""
    aside = damaged_copy(path)
    for suffix in _COMPANIONS:
        companion = aside.with_name(aside.name + suffix)
        try:
            os.replace(path.with_name(path.name + suffix), companion)
        except FileNotFoundError:
            companion.unlink(missing_ok=True)
    _log.error("%s is damaged (%s): set aside as %s, a fresh one is begun", path, why, aside.name)
    return aside
