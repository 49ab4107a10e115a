"""Room that is set by on the disk, so that a device whose disk is full can still start, and write down what it answers.

SQLite needs some kilobytes to open a file in WAL mode, and more to begin a fresh one beside a damaged one.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import sqlite3
import threading
from pathlib import Path

_log = logging.getLogger(__name__)

_BYTES = 1 << 20
_SPARE_BYTES = 1 << 18
_NEARLY_NONE = 1 << 16
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_SAID_OTHERWISE = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)


def free_bytes(folder: Path) -> int:
    """Bytes that may still be written in the file system of `folder`."""
    return shutil.disk_usage(folder).free


def disk_bytes(folder: Path) -> int:
    """Size of the file system of `folder`."""
    return shutil.disk_usage(folder).total


def is_full(error: Exception, folder: Path) -> bool:
    """Whether `error` says that the disk of `folder` is full."""
    if isinstance(error, OSError):
        return error.errno in _NO_ROOM
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code == sqlite3.SQLITE_FULL or (code in _SAID_OTHERWISE and free_bytes(folder) < _NEARLY_NONE)


class Ballast:
    """A file of 1 MiB that is given up where a database cannot be opened on a full disk, and made anew once it can be.

    Threads may share it.

    Args:
        path: the file; its folder is there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held = False
        self._lock = threading.Lock()

    def keep(self) -> bool:
        """Set the room by, unless it is; False where the disk does not have it."""
        if self._held:
            return True
        with self._lock:
            try:
                self._held = self._path.exists() and self._path.stat().st_size == _BYTES
                if not self._held and free_bytes(self._path.parent) >= _BYTES + _SPARE_BYTES:
                    self._allocate()
                    self._held = True
            except OSError as error:
                _log.warning("no room can be set by as %s: %s", self._path, error)
            return self._held

    def give_up(self) -> None:
        """Give the room back to the disk."""
        try:
            with self._lock:
                self._held = False
                self._path.unlink()
        except FileNotFoundError:
            return
        except OSError as error:
            _log.error("cannot remove %s: %s", self._path, error)
            return
        _log.error("the disk of %s is full: the room that was set by is given up", self._path.parent)

    def _allocate(self) -> None:
        try:
            with self._path.open("wb") as file:
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(file.fileno(), 0, _BYTES)
                else:
                    file.write(bytes(_BYTES))
        except OSError:
            self._path.unlink(missing_ok=True)
            raise
