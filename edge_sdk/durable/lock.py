"""One process at a time for a folder: held for long, or for one change."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge_sdk.durable.forks import Owner, close_in_children, closed
from edge_sdk.errors import StorageError

_LOOK_S = 0.02


@contextmanager
def turn(folder: Path, *, wait_s: float = 30.0) -> Iterator[None]:
    """Wait until no other process changes something in `folder` under this lock, then hold it; leaves no file.

    Args:
        folder: it is there.
        wait_s: seconds to wait at most; whoever holds it for longer does not make one change alone.

    Raises:
        OSError: the folder cannot be opened, or another process holds it for longer.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    end_s = time.monotonic() + wait_s
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end_s:
                    raise TimeoutError(f"another process holds the folder {folder} for over {wait_s:g} s") from None
                time.sleep(_LOOK_S)
        yield
    finally:
        os.close(descriptor)


class FolderLock:
    """Holds a folder for this process until `close`; a kill releases it too, whatever children it has forked.

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
        self._owner = Owner(what)
        close_in_children(self._file)

    def close(self) -> None:
        """Release the folder. A second call does nothing, nor does one in a forked child, which holds nothing."""
        if self._file >= 0 and self._owner.is_here:
            closed(self._file)
            fcntl.flock(self._file, fcntl.LOCK_UN)  # a child that was forked just now has the file open too
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
