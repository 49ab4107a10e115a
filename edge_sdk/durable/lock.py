"""One process at a time for a folder: held for long, or for one change."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge_sdk.errors import StorageError


@contextmanager
def turn(folder: Path) -> Iterator[None]:
    """Wait until no other process changes something in `folder` under this lock, then hold it; leaves no file.

    Raises:
        OSError: the folder cannot be opened.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class FolderLock:
    """Holds a folder for this process until `close`; a kill releases it too.

    Args:
        folder: it is there.
        what: how to call it in the error.

    Raises:
        StorageError: another process holds it (the message names it), this one does, or it cannot be written.
    """

    def __init__(self, folder: Path, what: str) -> None:
        try:
            self._file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StorageError(f"expected {what} that can be written at {folder}; {error}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(self._file, 32).decode(errors="replace").strip()
            os.close(self._file)
            who = "this process has it open already" if holder == str(os.getpid()) else f"{_described(holder)} holds it"
            raise StorageError(f"expected {what} that is free at {folder}; {who}") from error
        with suppress(OSError):  # a full disk
            os.ftruncate(self._file, 0)
            os.write(self._file, f"{os.getpid()}\n".encode())

    def close(self) -> None:
        """Release the folder. A second call does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _described(holder: str) -> str:
    """A process by its number, and its command line where the system tells it."""
    if not holder.isdecimal():
        return "another process"
    try:
        words = Path(f"/proc/{holder}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:
        return f"process {holder}"
    command = " ".join(word.decode(errors="replace") for word in words)
    printable = "".join(letter if letter.isprintable() else "?" for letter in command)
    return f"process {holder} ({printable[:200]})" if printable else f"process {holder}"
