"""Signals as values that a thread waits for, so that nothing is done at whatever line the main thread happens to be."""

from __future__ import annotations

import select
import signal
import socket
from types import FrameType, TracebackType
from typing import Any, Self

HEARD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Signals:
    """Takes SIGTERM, SIGINT and SIGHUP while its block runs; entered on the main thread, read from any."""

    def __enter__(self) -> Self:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._before_fd = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._before: dict[int, Any] = {number: signal.signal(number, _note) for number in HEARD}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._before_fd)
        self._reader.close()
        self._writer.close()

    def wait(self, timeout_s: float) -> list[int]:
        """The numbers of the signals that have come, in their order; empty after `timeout_s`, or `wake`."""
        if not select.select([self._reader], [], [], timeout_s)[0]:
            return []
        return [number for number in self._reader.recv(64) if number in HEARD]

    def wake(self) -> None:
        """Let a `wait` return."""
        self._writer.send(b"\0")


def _note(number: int, frame: FrameType | None) -> None:
    """Python writes the number to the socket where a signal has a handler; this one does nothing else."""
