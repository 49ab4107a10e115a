"""Two network namespaces, joined by a veth pair with a rate limit or by the emulator; all goes with the block.

IPv6 is off in them, so that an interface carries what the programs send and nothing else. What an earlier run left
behind (a namespace bears its process id) is cleared away first.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

DEVICE_ADDRESS, CLOUD_ADDRESS = "10.9.0.1", "10.9.0.2"
_PREFIX = "edgelink"
_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
_IP, _TC = (shutil.which(name, path=_PATH) for name in ("ip", "tc"))
_HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Way:
    """One direction of an emulated link.

    Attributes:
        loss: share of packets that are dropped.
        delay_ms: time that each packet takes.
        jitter_ms: up to so much more, drawn for each packet: packets overtake one another.
        rate: bytes a second; None: no limit.
        queue: bytes that wait for their turn; more is dropped.
        largest: bytes of the largest packet that passes; larger ones are dropped without a word. None: all pass.
        mapping_s: seconds after which a silent TCP connection is forgotten, and what it sends dropped. None: never.
    """

    loss: float = 0.0
    delay_ms: float = 1.0
    jitter_ms: float = 0.0
    rate: float | None = None
    queue: int = 100_000
    largest: int | None = None
    mapping_s: float | None = None


@dataclass(frozen=True)
class Side:
    """One end of the link.

    Attributes:
        namespace: its name.
        interface: its interface on the link.
        address: its IPv4 address.
    """

    namespace: str
    interface: str
    address: str

    def start(self, *program: object, **options: Any) -> subprocess.Popen[str]:
        """Run a Python program inside."""
        command = [str(_IP), "netns", "exec", self.namespace, sys.executable, *map(str, program)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options)

    @property
    def tx_bytes(self) -> int:
        """Bytes that the interface has sent."""
        said = ip("-n", self.namespace, "-s", "-j", "link", "show", self.interface)
        return int(json.loads(said)[0]["stats64"]["tx"]["bytes"])

    @property
    def queued_bytes(self) -> int:
        """Bytes that wait in the interface's queue."""
        if _TC is None:
            return 0  # none was made
        command = [_TC, "-n", self.namespace, "-s", "-j", "qdisc", "show", "dev", self.interface]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return sum(int(one["backlog"]) for one in json.loads(said or "[]"))


class Emulator:
    """The process between the two ends; its settings can be changed while it runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def set(self, up: Way | None = None, down: Way | None = None) -> None:
        """Change one or both directions (up: from the device to the cloud) for the packets that come from now on."""
        self._ask({name: asdict(way) for name, way in (("up", up), ("down", down)) if way})

    def counts(self) -> dict[str, dict[str, int]]:
        """Packets so far, by direction: "forwarded", "lost" (by chance or blackout), "overflowed" (the queue)."""
        return self._ask({})

    def _ask(self, change: dict[str, Any]) -> dict[str, dict[str, int]]:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(change) + "\n")
        self._process.stdin.flush()
        return dict(json.loads(self._process.stdout.readline()))


def ip(*arguments: str) -> str:
    done = subprocess.run([str(_IP), *arguments], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


@contextmanager
def namespaces() -> Iterator[tuple[str, str]]:
    """The names of two fresh namespaces, loopback up; the test is skipped where the system does not allow them."""
    if os.geteuid() or _IP is None:
        pytest.skip("network namespaces need root and iproute2")
    try:
        for name in ip("netns", "list").split():
            if name.startswith(f"{_PREFIX}-") and not Path(f"/proc/{name.split('-')[1]}").exists():
                ip("netns", "del", name)
    except OSError as error:
        pytest.skip(f"network namespaces cannot be listed: {error}")
    pair = (f"{_PREFIX}-{os.getpid()}-device", f"{_PREFIX}-{os.getpid()}-cloud")
    made = []
    try:
        for name in pair:
            try:
                ip("netns", "add", name)
            except OSError as error:
                pytest.skip(f"network namespaces cannot be made: {error}")
            made.append(name)
            for scope in ("all", "default"):
                off = f"echo 1 > /proc/sys/net/ipv6/conf/{scope}/disable_ipv6"
                subprocess.run([str(_IP), "netns", "exec", name, "sh", "-c", off], check=True)
            ip("-n", name, "link", "set", "lo", "up")
        yield pair
    finally:
        for name in made:
            ip("netns", "del", name)


@contextmanager
def veth_link(rate: str | None = None, burst: str = "10kb", limit: str = "100kb") -> Iterator[tuple[Side, Side]]:
    """Device and cloud joined by a veth pair; `rate` ("1mbit") limits what the device sends by tc's token bucket."""
    with namespaces() as (device, cloud):
        sides = Side(device, "veth0", DEVICE_ADDRESS), Side(cloud, "veth1", CLOUD_ADDRESS)
        ip("link", "add", "veth0", "netns", device, "type", "veth", "peer", "name", "veth1", "netns", cloud)
        hardware = {}
        for side in sides:  # whole packets, as a real card sends them: without this, 64 KB would count as one header
            ip("-n", side.namespace, "link", "set", side.interface, "gso_max_segs", "1")
            ip("-n", side.namespace, "addr", "add", f"{side.address}/24", "dev", side.interface)
            ip("-n", side.namespace, "link", "set", side.interface, "up")
            (shown,) = json.loads(ip("-n", side.namespace, "-j", "link", "show", side.interface))
            hardware[side] = shown["address"]
        for side, other in (sides, sides[::-1]):  # no ARP on the way
            neighbour = (other.address, "lladdr", hardware[other], "dev", side.interface, "nud", "permanent")
            ip("-n", side.namespace, "neigh", "add", *neighbour)
        if rate is not None:
            shape = f"-n {device} qdisc add dev veth0 root tbf rate {rate} burst {burst} limit {limit}".split()
            if _TC is None or subprocess.run([_TC, *shape], capture_output=True).returncode:
                pytest.skip("tc cannot limit the rate here")
        yield sides


@contextmanager
def emulated_link(
    up: Way | None = None, down: Way | None = None, *, seed: int = 1, blackouts: tuple[tuple[float, float], ...] = ()
) -> Iterator[tuple[Side, Side, Emulator]]:
    """Device and cloud joined by the emulator.

    Args:
        up: from the device to the cloud.
        down: from the cloud to the device.
        seed: of loss and jitter.
        blackouts: from and until when nothing passes, in seconds from the start of the block.
    """
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        pytest.skip("the link emulator needs /dev/net/tun")
    with namespaces() as (device, cloud):
        sides = Side(device, "tun0", DEVICE_ADDRESS), Side(cloud, "tun0", CLOUD_ADDRESS)
        settings = {
            "sides": [asdict(side) for side in sides],
            "up": asdict(up or Way()),
            "down": asdict(down or Way()),
            "seed": seed,
            "blackouts": blackouts,
        }
        command = [sys.executable, str(_HERE / "emulator.py"), json.dumps(settings)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                if process.stdout.readline() != "ready\n":
                    pytest.skip("the link emulator cannot make its TUN devices here")
                yield *sides, Emulator(process)
            finally:
                process.kill()
