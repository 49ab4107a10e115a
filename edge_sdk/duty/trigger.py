"""What wakes a sleeping device: a motion sensor on a pin, or a part of yours."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Protocol

from edge_sdk.errors import CameraError, ConfigError


class Trigger(Protocol):
    """Says that something may be there. `edge_sdk.testing.FakeTrigger` is one for tests."""

    def start(self, fire: Callable[[], None]) -> None:
        """Call `fire`, from any thread, each time; also at once, where something is there already."""

    @property
    def is_active(self) -> bool:
        """Whether the sensor sees something right now."""

    def close(self) -> None:
        """Call no more."""


class PirSensor:
    """A passive infrared sensor on a pin, through gpiozero: the processor sleeps until the pin's edge wakes it.

    Args:
        pin: the GPIO's number (BCM), such as 17, or a name that gpiozero knows.
        active_high: the sensor's output rises at motion, as that of HC-SR501 and its like.
        pin_factory: gpiozero's, for another chip or for tests (`gpiozero.pins.mock.MockFactory`); None: its own choice.

    Raises:
        CameraError: gpiozero is not installed, or finds no pins.
        ConfigError: there is no such pin.
    """

    def __init__(self, pin: int | str, *, active_high: bool = True, pin_factory: Any = None) -> None:
        try:
            from gpiozero import DigitalInputDevice
            from gpiozero.exc import BadPinFactory, GPIODeviceError, PinError, PinUnknownPi
        except ImportError as error:
            raise CameraError(
                "gpiozero is not installed: run `sudo apt install python3-gpiozero python3-lgpio` (with a virtual "
                'environment made with --system-site-packages), or `pip install ".[gpio]"` from the checkout'
            ) from error
        self._fire: Callable[[], None] | None = None
        try:
            # A pull to the idle level: a cut wire is no motion. MotionSensor would ask the pin ten times a second.
            with warnings.catch_warnings():  # which libraries it tried before, the error says
                warnings.simplefilter("ignore")
                self._pin = DigitalInputDevice(pin, pull_up=not active_high, pin_factory=pin_factory)
        except (BadPinFactory, PinUnknownPi) as error:
            raise CameraError(
                f"no GPIO pins here ({_one_line(error)}): is this a board, and is python3-lgpio installed?"
            ) from error
        except (PinError, GPIODeviceError, ValueError) as error:
            raise ConfigError(f"expected a free GPIO pin; got {pin!r}: {_one_line(error)}") from error
        self._pin.when_activated = self._edge
        self._pin.when_deactivated = self._edge  # what moved has gone: the time to look runs from here

    def start(self, fire: Callable[[], None]) -> None:
        """As `Trigger.start`."""
        self._fire = fire
        if self.is_active:
            fire()

    @property
    def is_active(self) -> bool:
        """Whether the sensor's output says motion."""
        return not self._pin.closed and bool(self._pin.is_active)

    def close(self) -> None:
        """Free the pin."""
        self._fire = None
        self._pin.close()

    def _edge(self) -> None:
        if self._fire is not None:
            self._fire()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
