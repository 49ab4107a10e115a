"""How a device is: its processor's temperature and throttling, room on its disk, its clock, its versions."""

from __future__ import annotations

import logging
import math
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge_sdk.durable.ballast import free_bytes
from edge_sdk.durable.clock import RELEASED_S

_log = logging.getLogger(__name__)

Measure = Callable[[], Mapping[str, float]]
"""What the application measures of the device, such as {"battery": 0.81}: at most 8 numbers by name."""

MOST_MEASURES = 8
WARM_CELSIUS, HOT_CELSIUS = 70.0, 80.0
"""A processor is warm from the first on; from the second on a Raspberry Pi slows down."""
UNDER_VOLTAGE = "under-voltage"
_THROTTLES = (UNDER_VOLTAGE, "frequency capped", "slowed down", "at its soft temperature limit")
_BEFORE = 16  # the same bits, since the start
_THERMAL = "sys/class/thermal"
_THROTTLED = "sys/devices/platform/soc*/soc*firmware/get_throttled"  # soc:firmware, soc@107c000000:firmware
LONGEST_NAME = 40
"""Characters of the name of a measure."""


@dataclass(frozen=True, slots=True)
class Health:
    """How a device is at one moment.

    Attributes:
        sdk: version of edge_sdk.
        python: version of Python.
        bundle: name, version and label set of the bundle.
        celsius: of the hottest part of the processor that the kernel tells of; None: it tells of none.
        throttled: the Raspberry Pi's `get_throttled` bits: 0 under-voltage, 1 frequency capped, 2 throttled, 3 soft
            temperature limit, each now; 16 to 19 the same, since it was started. None: no such machine.
        disk_free: bytes on the disk of the state folder; None: not known.
        clock_unset: the device's clock stands before this software was released.
        own: what the application measures.
    """

    sdk: str = ""
    python: str = ""
    bundle: str = ""
    celsius: float | None = None
    throttled: int | None = None
    disk_free: int | None = None
    clock_unset: bool = False
    own: Mapping[str, float] = field(default_factory=dict)


class HealthReader:
    """Reads a device's health.

    Args:
        state: the state folder.
        bundle: name, version and label set of the bundle.
        wall_s: this machine's clock, seconds since 1970.
        measure: what the application measures; None: nothing. An exception of its is logged.
        root: where the kernel's files stand.

    Attributes:
        bundle: as given.
        wall_s: as given.
    """

    def __init__(
        self,
        state: Path,
        bundle: str,
        wall_s: Callable[[], float],
        measure: Measure | None = None,
        root: Path = Path("/"),
    ) -> None:
        self._state, self.bundle, self.wall_s = state, bundle, wall_s
        self._measure, self._root = measure, root

    def read(self) -> Health:
        """The health now; what cannot be read is None."""
        from edge_sdk import __version__

        return Health(
            sdk=__version__,
            python=platform.python_version(),
            bundle=self.bundle,
            celsius=hottest(self._root / _THERMAL),
            throttled=throttled(self._root),
            disk_free=self._disk_free(),
            clock_unset=self.wall_s() < RELEASED_S,
            own=self._own(),
        )

    def _disk_free(self) -> int | None:
        try:
            return free_bytes(self._state)
        except OSError:
            return None

    def _own(self) -> dict[str, float]:
        if self._measure is None:
            return {}
        try:
            given = dict(self._measure())
            found = {str(name)[:LONGEST_NAME]: float(value) for name, value in given.items()}
        except Exception:
            _log.exception("health= failed; the report goes without it")
            return {}
        return dict([(name, value) for name, value in found.items() if math.isfinite(value)][:MOST_MEASURES])


def hottest(folder: Path) -> float | None:
    """Degrees Celsius of the hottest thermal zone; None where there is none that can be believed."""
    zones = [_number(path, 10) for path in sorted(folder.glob("thermal_zone*/temp"))[:64]]
    found = [zone / 1000 for zone in zones if zone is not None and -60_000 < zone < 200_000]
    return max(found, default=None)


def throttled(root: Path) -> int | None:
    """The bits in the Raspberry Pi firmware's file, hexadecimal; None where there is no such file.

    Args:
        root: where the kernel's files stand.
    """
    found = (_number(path, 16) for path in root.glob(_THROTTLED))
    return next((bits & 0xFFFFFFFF for bits in found if bits is not None), None)


def throttle_words(bits: int) -> tuple[list[str], list[str]]:
    """What the bits of `get_throttled` say: what is so now, and what was so since the start and is no more."""
    now = [word for bit, word in enumerate(_THROTTLES) if bits >> bit & 1]
    before = [word for bit, word in enumerate(_THROTTLES) if bits >> (bit + _BEFORE) & 1 and word not in now]
    return now, before


def memory(root: Path) -> dict[str, int]:
    """The kernel's table of memory, bytes by name (`MemTotal`, `MemAvailable`); empty where there is none.

    Args:
        root: where the kernel's files stand.
    """
    try:
        lines = (root / "proc/meminfo").read_text("ascii", errors="replace").splitlines()
    except OSError:
        return {}
    rows = (line.split() for line in lines)
    return {row[0].rstrip(":"): 1024 * int(row[1]) for row in rows if len(row) >= 2 and row[1].isdecimal()}


def _number(path: Path, base: int) -> int | None:
    try:
        return int(path.read_text("ascii").strip()[:16], base)
    except (OSError, ValueError):
        return None
