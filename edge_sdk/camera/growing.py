"""Files of a folder that grows: each is handed out once, when it is whole."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass

from edge_sdk.camera.files import CardFile, card_file

SETTLED_S = 2.0
"""A file that has not changed for so long, and that no program here has open for writing, is taken for whole."""
_MOST_TRIES = 3


@dataclass(slots=True)
class _Seen:
    size: int
    changed_ns: int
    due_s: float
    tries: int = 0
    taken: bool = False


class WholeFiles:
    """Which files of a folder are whole, and were not handed out before.

    A file that could not be read may not be whole after all: `try_again` lets it come again later. One that changes
    after it was handed out comes again.

    Args:
        root: the folder.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._seen: dict[str, _Seen] = {}

    def take(self, files: Iterable[CardFile], now_s: float) -> list[CardFile]:
        """Of all files that are there now, those to be read now.

        Args:
            files: all of the folder, in order.
            now_s: the steady clock.
        """
        before, self._seen = self._seen, {}
        ready: list[CardFile] = []
        for file in files:
            seen = before.get(file.name)
            if seen is None or (seen.size, seen.changed_ns) != (file.size, file.changed_ns):
                seen = _Seen(file.size, file.changed_ns, now_s + SETTLED_S)
            self._seen[file.name] = seen
            if not seen.taken and now_s >= seen.due_s and self._is_whole(file):
                seen.taken = True
                ready.append(file)
        return ready

    def _is_whole(self, file: CardFile) -> bool:
        """Whether nobody writes to it, nor did between the search of the folder and now."""
        if _is_being_written(os.path.join(self._root, file.name)):
            return False
        try:
            return card_file(self._root, file.name) == file
        except OSError:
            return False

    def try_again(self, file: CardFile, now_s: float) -> bool:
        """Whether a file that could not be read comes again, after a growing pause."""
        seen = self._seen.get(file.name)
        if seen is None:
            return False
        seen.tries += 1
        seen.taken = seen.tries >= _MOST_TRIES
        seen.due_s = now_s + SETTLED_S * 2**seen.tries
        return not seen.taken


def _is_being_written(path: str) -> bool:
    """Whether a program of this machine has the file open for writing; False where that cannot be known.

    Linux grants a read lease on a file only while no one has it open for writing.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        # Who opens the file meanwhile makes the kernel send a signal; this one is ignored, the usual one is deadly.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:  # another user's file, or a file system without leases
        return False
    finally:
        os.close(descriptor)
    return False
