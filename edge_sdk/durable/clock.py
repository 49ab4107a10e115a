"""A clock that only counts time that has truly passed, within one process and, as far as can be known, across restarts.

A device's wall clock is no measure of elapsed time: a Raspberry Pi has no battery-backed clock, boots with an old date
and jumps forward when the network comes. `ElapsedClock` therefore counts:

- within one process: by the steady clock alone (`CLOCK_BOOTTIME` where there is one, which also counts suspend);
  changes of the wall clock, forwards or backwards, have no effect;
- across restarts of the process within one boot: by the steady clock too;
- across a reboot: by the wall clock, which is all there is, where it can be right at both ends. One that was set back
  counts as no time at all; so does a clock that stood before this software's release (a Pi boots at 1970), and a gap
  of more than 400 days (one end stood in the far future). A clock that was set forward by less while the device was
  off cannot be told from a long time off, and is believed.

So a clock that is wrong until the network sets it can only make a budget wait, never spend it twice.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

RELEASED_S = 1_767_225_600.0
"""2026-01-01: no copy of this software ran before. A clock that stands earlier is known to be wrong."""
LONGEST_OFF_S = 400 * 86_400.0
"""Longest time off that is believed, seconds."""

_NOT_SYNCHRONISED = 0x40  # STA_UNSYNC of adjtimex(2)
_BOOTTIME: int | None = getattr(time, "CLOCK_BOOTTIME", None)


def steady_s() -> float:
    """Seconds since some fixed moment of this boot; never runs backwards, counts suspend where the system can."""
    return time.monotonic() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)


def unset_clock_note(captured_s: float, wall_s: float) -> str:
    """What the journal notes of a frame that was timed by this machine's clock while that was not set; else "".

    Args:
        captured_s: the frame's capture time, seconds since 1970.
        wall_s: the wall clock now.
    """
    timed_here = wall_s < RELEASED_S and abs(captured_s - wall_s) < 3600
    return "this machine's clock was not set: the time of capture is wrong" if timed_here else ""


def current_boot_id() -> str:
    """A name of this boot of the machine, or "" where the system gives none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


def off_s(before_s: float, after_s: float) -> float:
    """Seconds for which the machine was off, by its wall clock before and after; 0 where they cannot be right."""
    if min(before_s, after_s) < RELEASED_S or not 0 <= after_s - before_s <= LONGEST_OFF_S:
        return 0.0
    return after_s - before_s


class _Timex(ctypes.Structure):
    """The head of `struct timex`; the rest is longer than any kernel's."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 512),
    )


def clock_is_synchronised() -> bool | None:
    """Whether this kernel's clock is held to another (by NTP, whichever program speaks it); None: it does not tell."""
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return None
    read = _Timex()
    return None if adjtimex(ctypes.byref(read)) < 0 else not read.status & _NOT_SYNCHRONISED


class Clock(Protocol):
    """The machine's clocks. `edge_sdk.testing.FakeClock` is one that a test sets."""

    def wall_s(self) -> float:
        """Seconds since 1970, as the machine believes; it may jump."""

    def steady_s(self) -> float:
        """Seconds that never run backwards while the machine is up."""

    def boot_id(self) -> str:
        """Names the time the machine is up, within which `steady_s` can be compared; "" where unknown."""


class SystemClock:
    """The clocks of this machine."""

    def wall_s(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def steady_s(self) -> float:
        """Seconds of this boot."""
        return steady_s()

    def boot_id(self) -> str:
        """As the kernel names it."""
        return current_boot_id()


@dataclass(frozen=True, slots=True)
class ClockMark:
    """A moment that can be stored, and from which a later process goes on counting.

    Attributes:
        elapsed_ns: the elapsed clock's reading, nanoseconds.
        wall_s: the wall clock's, seconds since 1970.
        steady_s: the steady clock's, seconds.
        boot_id: the boot within which `steady_s` holds; "" where unknown.
    """

    elapsed_ns: int
    wall_s: float
    steady_s: float
    boot_id: str


class ElapsedClock:
    """Nanoseconds that have passed, from 0 at its first start; goes on from a stored mark.

    Args:
        mark: where an earlier process left off, or None to begin at 0.
        wall: wall time in seconds.
        steady: a clock that never runs backwards within one boot, in seconds.
        boot_id: names the boot within which `steady` can be compared; "" if unknown.
    """

    def __init__(
        self,
        mark: ClockMark | None = None,
        *,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = steady_s,
        boot_id: str = "",
    ) -> None:
        self._wall = wall
        self._steady = steady
        self._boot_id = boot_id
        self._steady_start_s = steady()
        self._start_ns = 0
        self._last_ns = 0
        if mark is not None:
            same_boot = boot_id != "" and boot_id == mark.boot_id
            passed_s = self._steady_start_s - mark.steady_s if same_boot else off_s(mark.wall_s, wall())
            self._start_ns = self._last_ns = mark.elapsed_ns + max(0, int(passed_s * 1e9))

    def now_ns(self) -> int:
        """Elapsed nanoseconds; never less than an earlier reading."""
        reading = self._start_ns + int((self._steady() - self._steady_start_s) * 1e9)
        self._last_ns = max(self._last_ns, reading)
        return self._last_ns

    def mark(self) -> ClockMark:
        """This moment, to be stored."""
        return ClockMark(self.now_ns(), self._wall(), self._steady(), self._boot_id)
