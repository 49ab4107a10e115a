"""How many CPU threads long work takes: as many as the machine has to spare, unless the user says a number.

Two programs that each take all cores are slower than two that share them: at every parallel step the fastest thread
waits for the one whose core is taken. On two cores with one of them busy, a step of training took 0.95 s with two
threads and 0.3 s with one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_LOOK_S = 0.3
_CGROUP = Path("/sys/fs/cgroup")
_STAT = Path("/proc/stat")


@dataclass(frozen=True, slots=True)
class Cores:
    """The cores of this process.

    Attributes:
        usable: cores that it may use (CPU affinity, the container's quota); not necessarily whole.
        idle: how many of them nobody used during the last moment.
    """

    usable: float
    idle: float

    def spare(self) -> int:
        """Threads that leave the machine usable: the idle cores, one always left to others; at least 1."""
        return max(1, min(round(self.idle), round(self.usable) - 1))


def look() -> Cores:
    """Watch the cores for a third of a second."""
    mine = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    usable = min(float(len(mine)), quota())
    try:
        before = _STAT.read_text()
        time.sleep(_LOOK_S)
        idle = idle_cores(before, _STAT.read_text(), mine)
    except (OSError, ValueError):  # no Linux
        busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
        idle = max(0.0, len(mine) - busy)
    return Cores(usable, min(usable, idle))


def idle_cores(before: str, after: str, cores: Iterable[int]) -> float:
    """How many of these cores were idle between two readings of `/proc/stat`."""
    first, last = _times(before), _times(after)
    found = 0.0
    for core in cores:
        (idle, whole), (idle_then, whole_then) = first[core], last[core]
        found += (idle_then - idle) / max(1, whole_then - whole)
    return found


def _times(text: str) -> dict[int, tuple[int, int]]:
    """For each core its idle time and all its time (proc_stat(5): idle and iowait are the fourth and fifth)."""
    found = {}
    for line in text.splitlines():
        name, _, rest = line.partition(" ")
        if name.startswith("cpu") and name[3:].isdigit():
            ticks = [int(value) for value in rest.split()[:8]]
            found[int(name[3:])] = sum(ticks[3:5]), sum(ticks)
    if not found:
        raise ValueError("no cores in /proc/stat")
    return found


def quota(root: Path = _CGROUP) -> float:
    """Cores that the container's control group grants (version 2: `cpu.max`, version 1: `cpu.cfs_*`); else infinity."""
    for name in ("cpu.max", "cpu/cpu.cfs_quota_us"):
        try:
            words = (root / name).read_text().split()
            period = words[1] if len(words) > 1 else (root / "cpu/cpu.cfs_period_us").read_text()
            if words[0] not in ("max", "-1"):
                return int(words[0]) / int(period)
        except (OSError, ValueError, IndexError, ZeroDivisionError):
            continue
    return float("inf")


@dataclass(frozen=True, slots=True)
class Taken:
    """The threads that a process computes with.

    Attributes:
        number: of threads.
        why: this number.
    """

    number: int
    why: str

    def sentence(self) -> str:
        """`threads: 1 (0.4 of 2 cores are idle; ...)`."""
        return f"threads: {self.number} ({self.why})"


def take_threads(asked: int | None) -> Taken:
    """Set the threads of torch and OpenCV in this process.

    Args:
        asked: by the user; None: as many as the machine has to spare (`Cores.spare`), at most torch's own choice,
            which `OMP_NUM_THREADS` and the number of physical cores bound.
    """
    import cv2
    import torch

    taken = Taken(asked or 1, "as asked")
    if asked is None:
        cores = look()
        why = f"{cores.idle:.1f} of {cores.usable:g} cores are idle; --threads takes another number"
        taken = Taken(min(cores.spare(), torch.get_num_threads()), why)
    torch.set_num_threads(taken.number)
    cv2.setNumThreads(taken.number)
    return taken
