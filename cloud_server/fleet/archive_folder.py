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

from edge_sdk.errors import ConfigError

ANSWERS = "answers.jsonl"
_SAFE = re.compile(r"[0-9a-z][0-9a-z_-]{0,63}")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_APPEND = os.O_RDWR | os.O_CREAT | os.O_APPEND


class ArchiveFolder:
    """A folder that one server at a time writes frames to; used on one thread.

    Args:
        path: made where it is missing, mode 0700; files get mode 0600.

    Attributes:
        bytes: of the pictures and lines that it holds, those of earlier runs included.
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
        self.names.add(name)
        try:
            try:
                _write_new(path, image)
            except FileNotFoundError:  # the day is new, or was moved away
                self._make()
                path.parent.mkdir(mode=0o700, exist_ok=True)
                _write_new(path, image)
        except FileExistsError:
            return
        except OSError:
            self.names.remove(name)
            raise
        try:
            self.bytes += len(image) + append_line(self._answers, line)
        except OSError:
            self.names.remove(name)
            path.unlink(missing_ok=True)
            raise

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
        size = self._answers.stat().st_size if self._answers.exists() else 0
        names = set()
        for day in self.path.iterdir():
            if _DAY.fullmatch(day.name) and day.is_dir():
                with suppress(FileNotFoundError), os.scandir(day) as files:  # days may be moved away meanwhile
                    for file in files:
                        with suppress(FileNotFoundError):
                            size += file.stat(follow_symlinks=False).st_size
                            names.add(file.name.partition(".")[0])
        return size, names


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


def _write_new(path: Path, content: bytes) -> None:
    """Write a file that is not there yet; one that cannot be written in full is removed again."""
    with open(os.open(path, _NEW, 0o600), "wb", buffering=0) as file:
        try:
            if file.write(content) != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        except OSError:
            path.unlink(missing_ok=True)
            raise


def _unusable(folder: Path, why: str | None) -> ConfigError:
    return ConfigError(f"cannot archive frames in {folder}: {why}: name another folder with --archive")
