"""A thin, bad link: two TUN devices, one in each namespace, and IP packets carried between them late, or not at all.

Started by `namespaces.emulated_link` with its settings as JSON; a JSON line on stdin changes them, and is answered with
the counts. It ends with its stdin.
"""

from __future__ import annotations

import fcntl
import heapq
import json
import os
import random
import select
import struct
import subprocess
import sys
import time
from typing import Any

_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_MTU = 1500


class Direction:
    """Packets one way."""

    def __init__(self, settings: dict[str, Any], chance: random.Random) -> None:
        self.settings = settings
        self.counts = {"forwarded": 0, "lost": 0, "overflowed": 0, "swallowed": 0}
        self._chance = chance
        self._free_at = 0.0

    def swallows(self, packet: bytes, now: float, heard: dict[bytes, float]) -> bool:
        """Whether a packet is too large, or of a connection that was silent for too long; `heard` has all of them."""
        swallowed = len(packet) > (self.settings["largest"] or 1 << 16)
        if self.settings["mapping_s"] is not None and packet[9] == 6:  # TCP without options of IP
            connection, begins = bytes(sorted(packet[20:24])), bool(packet[33] & 2)
            swallowed |= not begins and now - heard.get(connection, 0.0) > self.settings["mapping_s"]
            if not swallowed:
                heard[connection] = now
        self.counts["swallowed"] += swallowed
        return swallowed

    def due(self, size: int, now: float, dark: bool) -> float | None:
        """When a packet that comes now arrives; None: it does not."""
        way = self.settings
        if dark or self._chance.random() < way["loss"]:
            self.counts["lost"] += 1
            return None
        sent = now
        if way["rate"]:
            begin = max(now, self._free_at)
            waiting = round((begin - now) * way["rate"])  # times are floats, bytes are whole
            if waiting + size > way["queue"]:
                self.counts["overflowed"] += 1
                return None
            sent = self._free_at = begin + size / way["rate"]
        self.counts["forwarded"] += 1
        return float(sent + (way["delay_ms"] + self._chance.uniform(0, way["jitter_ms"])) / 1000)


def open_tun(namespace: str, interface: str, address: str) -> int:
    """A TUN device inside a namespace, up; the descriptor stays outside."""
    file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    outside = f"tun{os.getpid()}{namespace[-1]}"[:15]
    fcntl.ioctl(file, _TUNSETIFF, struct.pack("16sH22x", outside.encode(), _IFF_TUN | _IFF_NO_PI))
    for command in (
        f"ip link set {outside} netns {namespace} name {interface}",
        f"ip -n {namespace} addr add {address}/24 dev {interface}",
        f"ip -n {namespace} link set {interface} mtu {_MTU} txqueuelen 10000 up",
    ):
        subprocess.run(command.split(), check=True)
    return file


def main() -> None:
    settings = json.loads(sys.argv[1])
    chance = random.Random(settings["seed"])
    device, cloud = (open_tun(**side) for side in settings["sides"])
    ways = {name: Direction(settings[name], chance) for name in ("up", "down")}
    routes = {device: (ways["up"], cloud), cloud: (ways["down"], device)}
    on_the_way: list[tuple[float, int, int, bytes]] = []
    heard: dict[bytes, float] = {}
    number = 0
    start = time.monotonic()
    print("ready", flush=True)
    while True:
        wait_s = max(0.0, on_the_way[0][0] - time.monotonic()) if on_the_way else None
        readable, _, _ = select.select([device, cloud, sys.stdin], [], [], wait_s)
        now = time.monotonic()
        dark = any(begin <= now - start < end for begin, end in settings["blackouts"])
        for file in {device, cloud} & set(readable):
            while packet := read(file):
                way, other = routes[file]
                if way.swallows(packet, now, heard):
                    continue
                if (due := way.due(len(packet), now, dark)) is not None:
                    number += 1
                    heapq.heappush(on_the_way, (due, number, other, packet))
        while on_the_way and on_the_way[0][0] <= time.monotonic():
            _, _, other, packet = heapq.heappop(on_the_way)
            os.write(other, packet)
        if sys.stdin in readable:
            line = sys.stdin.readline()
            if not line:
                return
            for name, change in json.loads(line).items():
                ways[name].settings = change
            print(json.dumps({name: way.counts for name, way in ways.items()}), flush=True)


def read(file: int) -> bytes:
    try:
        return os.read(file, 65_536)
    except BlockingIOError:
        return b""


if __name__ == "__main__":
    main()
