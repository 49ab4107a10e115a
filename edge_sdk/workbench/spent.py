"""What a piece of work has cost so far, all its sessions together: a run that was stopped and resumed counts whole."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from edge_sdk.durable.files import write_whole

_WRITE_EVERY_S = 5.0


class Spent(msgspec.Struct, frozen=True):
    """Time and memory of some sessions.

    Attributes:
        sessions: number of times that the work was begun or continued.
        seconds: duration of all sessions together, without the pauses between them.
        peak_memory_bytes: the largest of their peaks; of the process itself, without its workers.
    """

    sessions: int = 0
    seconds: float = 0.0
    peak_memory_bytes: int = 0

    def sentence(self) -> str:
        """`123 s in 2 sessions, at most 1.2 GB of memory`."""
        several = f" in {self.sessions} sessions" if self.sessions > 1 else ""
        return f"{self.seconds:.0f} s{several}, at most {self.peak_memory_bytes / 1e9:.1f} GB of memory"


class Account:
    """Adds this session to the earlier ones.

    As a context manager it writes its file when the session is stopped, and removes it when the work is done.
    """

    def __init__(
        self,
        earlier: Spent | None = None,
        file: Path | None = None,
        *,
        keep: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin a session.

        Args:
            earlier: what was spent before; default: what `file` says.
            file: where `note` writes what is spent, so that the next session finds it; a file that cannot be read
                counts as none.
            keep: the file stays when the work is done, for work whose results later calls use again.
            clock: seconds.
        """
        self._file, self._keep, self._clock = file, keep, clock
        self.earlier = earlier or (Spent() if file is None else _read(file))
        self._began = self._written = clock()

    def __enter__(self) -> Account:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and not self._keep and self._file is not None:
            self._file.unlink(missing_ok=True)
        else:
            self.note(at_once=True)

    def now(self) -> Spent:
        """All sessions up to now."""
        before = self.earlier
        return Spent(
            before.sessions + 1,
            before.seconds + self._clock() - self._began,
            max(before.peak_memory_bytes, peak_memory_bytes()),
        )

    def note(self, *, at_once: bool = False) -> None:
        """Write the file, if the last time is five seconds ago, or at once."""
        if self._file is not None and (at_once or self._clock() - self._written >= _WRITE_EVERY_S):
            write_whole(self._file, msgspec.json.encode(self.now()))
            self._written = self._clock()


def _read(file: Path) -> Spent:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Spent)
    except (OSError, msgspec.DecodeError):
        return Spent()


def peak_memory_bytes() -> int:
    """Peak memory of this process so far, bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
