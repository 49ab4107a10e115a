"""Files that are there whole or not at all, whenever a program or the power stops; damaged files set aside."""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

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


class IrregularFile(OSError):
    """A folder, pipe or device stands where a file is expected."""


@contextmanager
def open_regular(path: Path | str) -> Iterator[BinaryIO]:
    """Open a regular file for reading; a pipe that nobody writes to, or a device, never makes the caller wait.

    Raises:
        OSError: it cannot be opened.
        IrregularFile: it is no regular file; the message says what it is.
        ValueError: the name has a null character.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise IrregularFile("a folder" if stat.S_ISDIR(mode) else "a pipe or a device")
        with open(descriptor, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)


def file_version(path: Path) -> tuple[int, ...] | None:
    """Changes whenever a file changes, device and inode first; None: there is no file."""
    try:
        seen = path.stat()
    except (OSError, ValueError):
        return None
    return seen.st_dev, seen.st_ino, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_size, seen.st_mode


def rewrite(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replace what a file holds, durably, and keep whose it is: owner, group, mode, access lists, links to it.

    A reader sees the old file or the new one. Where that would change whose it is (only root can give a file away; a
    hard link; a file that is mounted by itself; a folder that cannot be written), the new content is written over the
    old: in one write, with line feeds up to the old length, so that a reader never sees half a line.

    Args:
        path: the file, or a link to it. Its folder is there.
        content: all of it; ends with a line feed.
        mode: of a file that is not there yet. It belongs to its folder's owner where root makes it.

    Raises:
        OSError: it cannot be written; the old content stands.
    """
    path = Path(os.path.realpath(path))
    old = path.stat() if path.exists() else None

    def fill(fresh: Path) -> None:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        if old is not None:
            _give_same(path, fresh, old)
            return
        home = path.parent.stat()
        if os.geteuid() == 0 and home.st_uid != 0:
            os.chown(fresh, home.st_uid, home.st_gid)
        fresh.chmod(mode)

    path.parent.stat()  # a mistyped folder is not made
    if old is not None and old.st_nlink > 1:
        _write_over(path, content)
        return
    try:
        write_whole(path, fill, durable=True)
    except OSError as error:
        if old is None or error.errno not in (errno.EPERM, errno.EACCES, errno.EBUSY, errno.EXDEV, errno.EROFS):
            raise
        _write_over(path, content)


def _give_same(path: Path, fresh: Path, old: os.stat_result) -> None:
    """Give `fresh` the owner, group, access lists and mode of `path`."""
    made = fresh.stat()
    if (made.st_uid, made.st_gid) != (old.st_uid, old.st_gid):
        os.chown(fresh, old.st_uid, old.st_gid)
    if hasattr(os, "listxattr"):
        for name in _attributes(path):
            value = os.getxattr(path, name)
            if name not in _attributes(fresh) or os.getxattr(fresh, name) != value:
                os.setxattr(fresh, name, value)
    fresh.chmod(stat.S_IMODE(old.st_mode))


def _attributes(path: Path) -> list[str]:
    try:
        return os.listxattr(path)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return []
        raise


def _write_over(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        before = os.pread(descriptor, size, 0)
        padded = content + b"\n" * (size - len(content))
        try:
            if os.pwrite(descriptor, padded, 0) != len(padded):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        except OSError:
            os.pwrite(descriptor, before, 0)
            os.ftruncate(descriptor, size)
            raise
        os.fsync(descriptor)
        os.ftruncate(descriptor, len(content))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
