"""A cloud server of one's own on loopback, in a process of its own: for demos, tests and benchmarks."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from edge_sdk.errors import EdgeError

READY = "listening on "
PACKAGES = ("torch", "timm", "safetensors", "grpc_health")
"""What a server needs, and the package alone does not bring."""


class ServerStartError(EdgeError):
    """The server process ended, or was not ready in time; the message has the end of its log."""


@contextmanager
def start_local_server(
    model: str = "trailcam", *options: str, start_timeout_s: float = 120.0, stop_timeout_s: float = 15.0
) -> Iterator[str]:
    """Start `cloud-server` on a free port of 127.0.0.1, wait until it is ready, and end it with the block.

    The server also ends when this process dies, however it dies. Ctrl-C in the terminal does not reach it: it ends with
    the block, after the frames in flight.

    Args:
        model: as `--model`.
        options: further options of the command, such as "--device", "cpu"; its reply cache is in memory unless
            "--state" names a folder.
        start_timeout_s: how long loading the model may take.
        stop_timeout_s: how long draining may take before the process is killed.

    Yields:
        The address, "127.0.0.1:PORT".

    Raises:
        ServerStartError: it did not start; the message says why.
    """
    arguments = [
        "--model",
        model,
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--state",
        "none",
        "--exit-with-parent",
        *options,
    ]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "cloud_server", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield _await_ready(process, log, start_timeout_s)
        finally:
            _end(process, stop_timeout_s)


def _await_ready(process: subprocess.Popen[bytes], log: IO[bytes], timeout_s: float) -> str:
    assert process.stdout is not None
    late = threading.Event()

    def give_up() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(timeout_s, give_up)
    timer.start()
    try:
        line = process.stdout.readline().decode()
    finally:
        timer.cancel()
    if line.startswith(READY):
        return line.removeprefix(READY).strip()
    why = f"did not start within {timeout_s:g} s" if late.is_set() else f"did not start (exit code {process.wait()})"
    raise ServerStartError(f"the cloud server {why}: {_tail(log) or 'its log is empty'}")


def _end(process: subprocess.Popen[bytes], timeout_s: float) -> None:
    process.terminate()
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        pipe.close()


def _tail(log: IO[bytes], lines: int = 15) -> str:
    log.seek(0, os.SEEK_END)
    log.seek(max(0, log.tell() - 8192))
    return "\n".join(log.read().decode(errors="replace").strip().splitlines()[-lines:])
