"""What a device lives on: its battery and its solar panel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SupplyState:
    """How the supply is at one moment; None: not known.

    Attributes:
        charge: of the battery, in [0, 1].
        volts: of the battery.
        solar_watts: what the panel gives.
    """

    charge: float | None = None
    volts: float | None = None
    solar_watts: float | None = None


class Supply(Protocol):
    """Reads a battery and a panel: a gauge on I2C, a charge controller on a serial line."""

    def read(self) -> SupplyState:
        """The state now. An OSError is taken as: nothing is known."""


class KernelSupply:
    """What the kernel knows of batteries and panels (`/sys/class/power_supply`): gauges with a driver, most UPS boards.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path = Path("/sys/class/power_supply")) -> None:
        self._root = root

    def read(self) -> SupplyState:
        """The least charged battery, and all other supplies' power together."""
        charges: list[float] = []
        volts: float | None = None
        watts: list[float] = []
        for folder in sorted(self._root.glob("*")):
            if _text(folder / "type") == "Battery":
                capacity = _number(folder / "capacity")
                if capacity is not None and 0 <= capacity <= 100:
                    charges.append(capacity / 100)
                microvolts = _number(folder / "voltage_now")
                volts = volts if microvolts is None else microvolts / 1e6
            elif (power := _watts(folder)) is not None:
                watts.append(power)
        return SupplyState(min(charges, default=None), volts, sum(watts) if watts else None)


def read_supply(supply: Supply) -> SupplyState:
    """The state of a supply; nothing is known where it cannot be read."""
    try:
        return supply.read()
    except OSError:
        return SupplyState()


def measures_of(supply: Supply) -> Callable[[], dict[str, float]]:
    """For `EdgeClassifier(health=...)`: `battery`, `battery_volts` and `solar_watts`, where they are known."""

    def measures() -> dict[str, float]:
        state = read_supply(supply)
        values = {"battery": state.charge, "battery_volts": state.volts, "solar_watts": state.solar_watts}
        return {name: value for name, value in values.items() if value is not None}

    return measures


def _watts(folder: Path) -> float | None:
    power = _number(folder / "power_now")
    if power is not None:
        return power / 1e6
    volts, amperes = _number(folder / "voltage_now"), _number(folder / "current_now")
    return None if volts is None or amperes is None else volts * amperes / 1e12


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii", errors="replace").strip()
    except OSError:
        return ""


def _number(path: Path) -> float | None:
    try:
        return float(_text(path))
    except ValueError:
        return None
