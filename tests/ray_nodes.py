"""A Ray cluster of several machines: a network namespace for each node, and a bridge that joins them to this one."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
HERE = "10.9.8.254"
"""This machine, from each node."""
PORT = 50051
_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
_IP = shutil.which("ip", path=_PATH)
_RAY = "from ray.scripts.scripts import main; main()"
_HEAD_PORT = 6379
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")


class Node:
    """One machine of the cluster: it starts, is killed with all that runs on it, and starts again.

    Args:
        number: from 0, the head.
        namespace: its name.
        log: what Ray's commands say.
        secret: by which the machines of the cluster know each other.

    Attributes:
        address: its IPv4 address.
    """

    def __init__(self, number: int, namespace: str, log: Path, secret: str) -> None:
        self._number, self._namespace, self._log, self._secret = number, namespace, log, secret
        self.address = f"10.9.8.{number + 1}"

    @property
    def target(self) -> str:
        """Where devices call."""
        return f"{self.address}:{PORT}"

    def start(self) -> None:
        """Join the cluster, as its head where it is the first one."""
        role = ["--head", "--port", _HEAD_PORT, "--include-dashboard=false"]
        if self._number:
            role = ["--address", f"10.9.8.1:{_HEAD_PORT}"]
        options = ["--num-cpus", 1, "--num-gpus", 0, "--object-store-memory", 100 << 20, "--disable-usage-stats"]
        self.run("-c", _RAY, "start", *role, "--node-ip-address", self.address, *options)

    def run(self, *program: object) -> None:
        """Run a Python program on the node, to its end."""
        with self._log.open("a") as log:  # a pipe would stay open as long as what the program leaves behind
            done = subprocess.run(self._command(program), env=self._environment(), stdout=log, stderr=log)
        assert done.returncode == 0, self._log.read_text()[-3000:]

    def begin(self, *program: object) -> subprocess.Popen[str]:
        """Run a Python program on the node, which is asked and answers by lines."""
        with self._log.open("a") as log:
            return subprocess.Popen(
                self._command(program),
                env=self._environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def _command(self, program: tuple[object, ...]) -> list[str]:
        return [str(_IP), "netns", "exec", self._namespace, sys.executable, *map(str, program)]

    def _environment(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if name.lower() not in _PROXIES},
            "PYTHONPATH": f"{TESTS}:{TESTS.parent}",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "token",  # else a file in the user's home decides, and not alike on all
            "RAY_AUTH_TOKEN": self._secret,
            "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "300",  # a busy machine
            "RAY_health_check_period_ms": "1000",
            "RAY_health_check_failure_threshold": "15",
        }

    def kill(self) -> None:
        """End all that runs on the node, as a power cut would."""
        for pid in _ip("netns", "pids", self._namespace).split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


def _ip(*arguments: str) -> str:
    done = subprocess.run([str(_IP), *arguments], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


@contextmanager
def ray_nodes(count: int, folder: Path) -> Iterator[list[Node]]:
    """Nodes that are not started yet; the test is skipped where the system allows no namespaces."""
    if os.geteuid() or _IP is None:
        pytest.skip("network namespaces need root and iproute2")
    secret = secrets.token_hex(32)
    bridge, names = "edgeray0", [f"edgeray-{number}" for number in range(count)]
    nodes = [Node(number, name, folder / f"{name}.log", secret) for number, name in enumerate(names)]
    _clear(bridge, names)
    try:
        try:
            _ip("link", "add", bridge, "type", "bridge")
            _ip("addr", "add", f"{HERE}/24", "dev", bridge)
            _ip("link", "set", bridge, "up")
            for node, name in zip(nodes, names, strict=True):
                _ip("netns", "add", name)
                port = f"edgerayp{node.address[-1]}"
                _ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
                _ip("link", "set", port, "master", bridge, "up")
                _ip("-n", name, "addr", "add", f"{node.address}/24", "dev", "eth0")
                for interface in ("lo", "eth0"):
                    _ip("-n", name, "link", "set", interface, "up")
        except OSError as error:
            pytest.skip(f"network namespaces cannot be made: {error}")
        yield nodes
    finally:
        for node in nodes:
            with suppress(OSError):
                node.kill()
        _clear(bridge, names)


def _clear(bridge: str, names: list[str]) -> None:
    for arguments in (*(("netns", "del", name) for name in names), ("link", "del", bridge)):
        with suppress(OSError):
            _ip(*arguments)
