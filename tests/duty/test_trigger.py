from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from edge_sdk.duty import PirSensor
from edge_sdk.errors import CameraError, ConfigError


def test_without_gpiozero_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gpiozero", None)
    with pytest.raises(CameraError, match="sudo apt install python3-gpiozero"):
        PirSensor(17)


@pytest.fixture
def pins() -> Iterator[Any]:
    pytest.importorskip("gpiozero", reason='needs gpiozero, of the extra "gpio"')
    from gpiozero.pins.mock import MockFactory

    factory = MockFactory()
    yield factory
    factory.reset()


@pytest.mark.parametrize("active_high", [True, False])
def test_each_edge_of_the_pin_is_told(pins: Any, active_high: bool) -> None:
    sensor = PirSensor(17, active_high=active_high, pin_factory=pins)
    pin, fired = pins.pin(17), list[bool]()
    rise, fall = (pin.drive_high, pin.drive_low) if active_high else (pin.drive_low, pin.drive_high)
    sensor.start(lambda: fired.append(sensor.is_active))
    assert fired == [] and not sensor.is_active
    rise()
    assert fired == [True]
    fall()
    assert fired == [True, False]
    sensor.close()
    assert not sensor.is_active


def test_motion_at_the_start_is_told_at_once(pins: Any) -> None:
    sensor = PirSensor(4, pin_factory=pins)
    pins.pin(4).drive_high()
    fired: list[None] = []
    sensor.start(lambda: fired.append(None))
    assert fired == [None]
    sensor.close()


def test_a_pin_that_is_taken_or_is_none(pins: Any) -> None:
    first = PirSensor(17, pin_factory=pins)
    for pin in (17, "GPIO99"):
        with pytest.raises(ConfigError, match="expected a free GPIO pin; got"):
            PirSensor(pin, pin_factory=pins)
    first.close()
