"""When a device looks, as its config file says it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo
from math import inf

from edge_sdk.camera.base import Camera, OnFault
from edge_sdk.duty.camera import DutyCamera
from edge_sdk.duty.schedule import Schedule
from edge_sdk.duty.supply import KernelSupply
from edge_sdk.duty.trigger import PirSensor
from edge_sdk.errors import ConfigError
from edge_sdk.model.priors import Place

_ANYWHERE = Place(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class DutySettings:
    """When the camera is open, and what wakes it.

    Attributes:
        schedule: "always", or windows such as "sunset-30min to sunrise+30min" (with deployment.place in degrees) and
            "06:00 to 09:30, 17:00 to 20:00" (of deployment.zone).
        pir_pin: GPIO (BCM number) of a motion sensor, which opens the camera. None: the schedule alone.
        look_s: seconds that the camera stays open after the sensor's latest sign.
        min_charge: share of the battery, as the kernel knows it, below which the camera stays closed.

    Raises:
        ConfigError: a value is not as described.
    """

    schedule: str = "always"
    pir_pin: int | None = None
    look_s: float = 20.0
    min_charge: float = 0.0

    def __post_init__(self) -> None:
        try:
            Schedule.parse(self.schedule, _ANYWHERE)
        except ConfigError as error:
            raise ConfigError(f"schedule: {error}") from None
        if self.pir_pin is not None and not 0 <= self.pir_pin < 64:
            raise ConfigError(f"expected pir_pin as a GPIO's number; got {self.pir_pin!r}")
        if not 0 < self.look_s < inf:
            raise ConfigError(f"expected look_s as seconds above 0; got {self.look_s!r}")
        if not 0 <= self.min_charge < 1:
            raise ConfigError(f"expected min_charge from 0 to below 1; got {self.min_charge!r}")

    def hours(self, place: Place | str | None, zone: tzinfo | None) -> Schedule:
        """The schedule of a device.

        Args:
            place: where it stands; the name of a region says nothing of the sun.
            zone: of fixed times.

        Raises:
            ConfigError: it goes by the sun, and the place is not known.
        """
        return Schedule.parse(self.schedule, place if isinstance(place, Place) else None, zone)

    def open(self, opener: Callable[[], Camera], hours: Schedule, on_fault: OnFault | None = None) -> DutyCamera:
        """The camera that these settings ask for.

        Args:
            opener: opens the camera that gives the pictures.
            hours: as `hours` gives them.
            on_fault: as in `DutyCamera`.

        Raises:
            CameraError: there is no such sensor.
            ConfigError: the pin cannot be used.
        """
        return DutyCamera(
            opener,
            schedule=hours,
            trigger=None if self.pir_pin is None else PirSensor(self.pir_pin),
            look_s=self.look_s,
            supply=KernelSupply() if self.min_charge else None,
            min_charge=self.min_charge,
            on_fault=on_fault,
        )
