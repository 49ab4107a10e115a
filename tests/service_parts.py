"""A device's service as a process, and the socket on which its supervisor listens."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

WATCHDOG_S = 2.0


class Running:
    """A running service.

    Attributes:
        process: the process.
    """

    def __init__(self, process: subprocess.Popen[str], server: socket.socket) -> None:
        self.process, self._server = process, server
        self._passed_over: list[str] = []

    def hears(self, wanted: Callable[[str], bool]) -> str:
        """Wait for a message; those before it are passed over for good, since they come in a set order."""
        while not wanted(message := self._server.recv(4096).decode()):
            pass
        return message

    def reads(self, wanted: str) -> str:
        """Wait for a line of the log. Each line is found once, in any order: threads write them."""
        assert self.process.stderr is not None
        for at, line in enumerate(self._passed_over):
            if wanted in line:
                return self._passed_over.pop(at)
        for line in self.process.stderr:
            if wanted in line:
                return line
            self._passed_over.append(line)
        log = "".join(self._passed_over)
        raise AssertionError(f"the service ended without {wanted!r}; code {self.process.wait()}; its log:\n{log}")

    def waiting(self) -> list[str]:
        """The messages that have come and were not heard."""
        came = []
        self._server.setblocking(False)
        try:
            while True:
                came.append(self._server.recv(4096).decode())
        except BlockingIOError:
            return came
        finally:
            self._server.setblocking(True)

    def ask_to_end(self, number: int = signal.SIGTERM) -> None:
        """Ask it to end; a second time ends it at once."""
        self.process.send_signal(number)

    def ended(self) -> int:
        """Wait for its end, and take what it tells meanwhile; its exit code."""
        over = b"over"
        taking = threading.Thread(target=lambda: self.hears(lambda word: word == over.decode()))
        taking.start()
        try:
            self.process.communicate()
        finally:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
                out.sendto(over, self._server.getsockname())
            taking.join()
        return self.process.returncode

    def end(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end; its exit code."""
        self.ask_to_end(number)
        return self.ended()


@contextmanager
def service(folder: Path, *, before: str = "", **environment: str) -> Iterator[Running]:
    """`edge-sdk run` in a folder with an `edge-sdk.toml`.

    Args:
        folder: where it runs.
        before: Python that runs in its process first.
        environment: of the process, beside this one's.
    """
    program = f"{before}\nfrom edge_sdk.cli import main\nmain()"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(folder / "notify"))
        told = {"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": str(int(WATCHDOG_S * 1e6))}
        with subprocess.Popen(
            [sys.executable, "-c", program, "run"],
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1", **told, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield Running(process, server)
            finally:
                process.kill()
                (folder / "notify").unlink()


def write_config(folder: Path, text: str) -> None:
    """An `edge-sdk.toml` of the bundle that ships, whose state lies beside it."""
    (folder / "edge-sdk.toml").write_text(f"[storage]\nstate_dir = 'state'\n{text}")
