"""How the device is, as lines for people: temperature, disk, memory, clock, link, budgets, versions."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path

from rich.filesize import decimal

from edge_sdk.budget.amounts import amount_text, budget_text
from edge_sdk.budget.limits import Resource
from edge_sdk.budget.usage import Usage
from edge_sdk.durable.clock import clock_is_synchronised
from edge_sdk.fleet.health import HOT_CELSIUS, UNDER_VOLTAGE, Health, memory, throttle_words
from edge_sdk.terminal.line import one_line
from edge_sdk.types import LinkState

_LITTLE_DISK = 500_000_000
_LITTLE_MEMORY = 0.1
_NAMES = {
    Resource.UPLOAD: "Sent",
    Resource.FRAMES: "Frames sent",
    Resource.COMPUTE: "Computing here",
    Resource.CLOUD: "Computing in the cloud",
    Resource.ENERGY: "Energy",
}
_WRONG = frozenset({LinkState.OFFLINE, LinkState.MISMATCH, LinkState.DENIED, LinkState.RETRYING})


@dataclass(frozen=True, slots=True)
class Gauge:
    """One line.

    Attributes:
        name: what is measured.
        text: what was found.
        warns: somebody should do something about it.
    """

    name: str
    text: str
    warns: bool = False


@dataclass(frozen=True, slots=True)
class Meter:
    """A budget.

    Attributes:
        name: what is spent.
        text: "412 kB of 5 MB/day".
        left: "4.6 MB left".
        share: spent, in [0, 1].
    """

    name: str
    text: str
    left: str
    share: float


def meters(usage: Usage) -> list[Meter]:
    """All budgets."""
    return [
        Meter(
            _NAMES[one.budget.resource],
            budget_text(one),
            f"{amount_text(one.budget.resource, max(0, one.budget.limit - one.spent))} left",
            min(1.0, max(0.0, one.share)),
        )
        for one in usage.budgets
    ]


def gauges(
    health: Health, link: LinkState, link_message: str, waiting: int, zone: tzinfo | None, server: str = ""
) -> list[Gauge]:
    """The lines on health.

    Args:
        health: of the device.
        link: the way to the cloud.
        link_message: why it is so.
        waiting: frames that wait for the cloud.
        zone: in which times are told; None: the machine's.
        server: the one in use; empty: it is not told.
    """
    machine = *_temperature(health), *_disk(health), *_memory(), _clock(health, zone)
    return [*machine, *_link(link, link_message, waiting, server), *_own(health), *_versions(health)]


def _temperature(health: Health) -> Iterator[Gauge]:
    if health.celsius is not None:
        yield Gauge("Processor", f"{health.celsius:.0f} °C", health.celsius >= HOT_CELSIUS)
    now, before = throttle_words(health.throttled or 0)
    if UNDER_VOLTAGE in now:
        yield Gauge("Power", "too low a voltage now: use a stronger supply or a shorter cable", True)
    elif UNDER_VOLTAGE in before:
        yield Gauge("Power", "the voltage was too low since the start", True)
    if slow := [word for word in now if word != UNDER_VOLTAGE]:
        yield Gauge("Speed", f"{', '.join(slow)} now, by heat or voltage", True)


def _disk(health: Health) -> Iterator[Gauge]:
    if health.disk_free is not None:
        yield Gauge("Disk", f"{decimal(health.disk_free)} free", health.disk_free < _LITTLE_DISK)


def _memory() -> Iterator[Gauge]:
    table = memory(Path("/"))
    free, total = table.get("MemAvailable"), table.get("MemTotal")
    if free is None or not total:
        return
    own = _kilobytes("/proc/self/status", "VmRSS")
    said = "" if own is None else f"; this program has {decimal(own * 1024)}"
    text = f"{decimal(free)} of {decimal(total)} free{said}"
    yield Gauge("Memory", text, free < _LITTLE_MEMORY * total)


def _clock(health: Health, zone: tzinfo | None) -> Gauge:
    now = datetime.now().astimezone(zone)
    if health.clock_unset:
        return Gauge("Clock", f"not set: it says {now:%Y-%m-%d %H:%M}", True)
    held = {True: "held by the network", False: "not held by the network", None: ""}[clock_is_synchronised()]
    return Gauge("Clock", f"{now:%Y-%m-%d %H:%M %Z}{', ' if held else ''}{held}")


def _link(link: LinkState, message: str, waiting: int, server: str) -> Iterator[Gauge]:
    if link is LinkState.OFF:
        said = "no cloud is named"
    else:
        said = f"{link}: {one_line(message, 160)}" if message else f"{link}, {server}" if server else str(link)
    waits = "1 frame waits" if waiting == 1 else f"{waiting} frames wait"
    yield Gauge("Link", f"{said}; {waits}" if waiting else said, link in _WRONG)


def _own(health: Health) -> Iterator[Gauge]:
    own = dict(health.own)
    if (charge := own.pop("battery", None)) is not None:
        yield Gauge("Battery", f"{charge:.0%}", charge < 0.15)
    for name, value in own.items():
        yield Gauge(name.replace("_", " ").capitalize(), f"{value:.4g}")


def _versions(health: Health) -> Iterator[Gauge]:
    yield Gauge("Model", health.bundle)
    yield Gauge("Software", f"edge-sdk {health.sdk}, Python {health.python}, {platform.machine()}")


def _kilobytes(path: str, name: str) -> int | None:
    """A line of the kernel's, "MemTotal:  3884340 kB"; None where there is no such line."""
    try:
        for line in Path(path).read_text("ascii", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key == name:
                return int(value.split()[0])
    except (OSError, ValueError, IndexError):
        pass
    return None
