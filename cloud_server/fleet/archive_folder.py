"""The folder of the frame archive: its lock, its pictures by day, its file of answers, and how much it holds.

FOLDER/2026-11-21/019aa3c4….jpg     a picture, byte for byte as it came
FOLDER/answers.jsonl                one line for each, appended
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

from edge_sdk.durable.files import write_whole
from edge_sdk.errors import ConfigError

ANSWERS = "answers.jsonl"
_SAFE = re.compile(r"[0-9a-z][0-9a-z_-]{0,63}")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_STAT_BLOCK = 512  # the unit of st_blocks, whatever the file system's is
_APPEND = os.O_RDWR | os.O_CREAT | os.O_APPEND


class ArchiveFolder:
    """A folder that one server at a time writes frames to; used on one thread.

    Args:
        path: made where it is missing, mode 0700; files get mode 0600.

    Attributes:
        bytes: that it holds on the disk, in blocks and folders included, those of earlier runs too.
        names: of the pictures, without suffix.

    Raises:
        ConfigError: another server holds it, or it cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._answers = path / ANSWERS
        try:
            self._make()
            self._lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise _unusable(path, error.strerror) from error
        try:
            self._check()
            self._block = max(_STAT_BLOCK, os.statvfs(path).f_frsize)
            self._remove_partial()
            self.bytes, self.names = self._count()
        except OSError as error:
            self.close()
            raise _unusable(path, error.strerror) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let other servers have it."""
        os.close(self._lock)

    def cost(self, image_bytes: int, line_bytes: int) -> int:
        """Most bytes of the disk that a picture and its line take: whole blocks, and what their folders grow by."""
        return self._whole(image_bytes) + self._whole(line_bytes) + 2 * self._block

    def has_room(self, needed: int, limit: int) -> bool:
        """Whether `needed` bytes fit below `limit` and on the disk, by a fresh count."""
        self._make()
        self.bytes, self.names = self._count()
        return self.bytes + needed <= limit and shutil.disk_usage(self.path).free >= needed

    def write(self, file: str, image: bytes, line: bytes) -> None:
        """Write a picture and then its line, both in full or neither.

        Args:
            file: DAY/NAME.SUFFIX; one that is there already stays as it is, without a second line.
            image: the encoded picture.
            line: with its line feed.

        Raises:
            OSError: one of them cannot be written.
        """
        path = self.path / file
        name = path.stem
        if os.path.lexists(path):
            self.names.add(name)
            return
        shared = self._shared(path.parent)
        self._make()
        path.parent.mkdir(mode=0o700, exist_ok=True)  # the day is new, or was moved away
        write_whole(path, image, mode=0o600)
        try:
            append_line(self._answers, line)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        self.names.add(name)
        self.bytes += self._held(path) + self._shared(path.parent) - shared

    def _shared(self, day: Path) -> int:
        """Bytes of what a picture shares with others: the lines and the folders."""
        return sum(self._held(path) for path in (self.path, day, self._answers))

    def _held(self, path: Path) -> int:
        """Bytes that a file or folder takes on the disk, or will once a fresh one has got its blocks."""
        try:
            seen = path.stat()
        except FileNotFoundError:
            return 0
        return max(seen.st_blocks * _STAT_BLOCK, self._whole(seen.st_size) if path.is_file() else 0)

    def _whole(self, size: int) -> int:
        """`size` in whole blocks."""
        return -(-size // self._block) * self._block

    def _remove_partial(self) -> None:
        """Remove what a kill in the middle of writing has left."""
        for day in self.path.iterdir():
            if _DAY.fullmatch(day.name) and day.is_dir():
                for file in day.glob(".*.partial.*"):
                    file.unlink(missing_ok=True)

    def _make(self) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _check(self) -> None:
        """Lock the folder, and see that it can be written."""
        import fcntl

        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _unusable(self.path, "another server archives its frames there") from error
        answers = self._answers
        if not os.access(self.path, os.W_OK | os.X_OK) or (
            answers.exists() and not (answers.is_file() and os.access(answers, os.R_OK | os.W_OK))
        ):
            raise _unusable(self.path, f"it, or {ANSWERS} in it, cannot be written")

    def _count(self) -> tuple[int, set[str]]:
        """Bytes on the disk of all that is in the folder, and the names of the pictures."""
        names = set()
        for day in self.path.iterdir():
            if _DAY.fullmatch(day.name) and day.is_dir():
                with suppress(FileNotFoundError), os.scandir(day) as files:  # days may be moved away meanwhile
                    names |= {file.name.partition(".")[0] for file in files}
        return _disk_bytes(self.path), names


def _disk_bytes(folder: Path) -> int:
    """Bytes that a folder and all that lies in it take on the disk; links are not followed."""
    size = folder.stat().st_blocks * _STAT_BLOCK
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                if entry.is_dir(follow_symlinks=False):
                    size += _disk_bytes(Path(entry.path))
                else:
                    size += entry.stat(follow_symlinks=False).st_blocks * _STAT_BLOCK
    return size


def safe_name(frame_id: str) -> str:
    """A file's name for any id: the id itself, or a hash of one that has more than small letters and digits."""
    if _SAFE.fullmatch(frame_id):
        return frame_id
    return hashlib.blake2b(frame_id.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def append_line(path: Path, line: bytes) -> int:
    """Append a line, in full or not at all, after ending one that a crash cut off; returns the bytes written.

    Raises:
        OSError: it cannot be written.
    """
    descriptor = os.open(path, _APPEND, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = b"\n" + line
        if os.write(descriptor, line) != len(line):
            os.ftruncate(descriptor, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    finally:
        os.close(descriptor)
    return len(line)


def _unusable(folder: Path, why: str | None) -> ConfigError:
    return ConfigError(f"cannot archive frames in {folder}: {why}: name another folder with --archive")
