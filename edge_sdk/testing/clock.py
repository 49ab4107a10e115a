"""A clock that a test sets."""

from __future__ import annotations

import threading


class FakeClock:
    """The machine's clocks, standing still until `pass_s` moves them. Threads may share it.

    Args:
        wall_s: seconds since 1970 at the start.
    """

    def __init__(self, wall_s: float = 1_800_000_000.0) -> None:
        self._lock = threading.Lock()
        self._wall_s = wall_s
        self._steady_s = 0.0
        self._boot = 1

    def wall_s(self) -> float:
        """Seconds since 1970, as the machine believes."""
        return self._wall_s

    def steady_s(self) -> float:
        """Seconds since the machine started."""
        return self._steady_s

    def boot_id(self) -> str:
        """Changes with `reboot`."""
        return f"boot {self._boot}"

    def pass_s(self, seconds: float) -> None:
        """Time passes."""
        with self._lock:
            self._wall_s += seconds
            self._steady_s += seconds

    def set_wall_s(self, seconds: float) -> None:
        """Somebody changes the wall clock; no time passes."""
        self._wall_s = seconds

    def reboot(self) -> None:
        """The machine starts anew; no time passes."""
        with self._lock:
            self._steady_s = 0.0
            self._boot += 1
