from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_sdk import load_config
from edge_sdk.device_config.check import find_faults
from edge_sdk.device_config.reading import read
from edge_sdk.duty import DutyCamera
from edge_sdk.duty.settings import DutySettings
from edge_sdk.errors import CameraError, ConfigError
from edge_sdk.model.priors import Place

BERLIN = '[deployment]\nplace = "52.5,13.4"\nzone = "Europe/Berlin"\n'
CAMERA = '[camera]\naddress = "simulated://trailcam?frames=3"\n'


def test_a_config_file_says_when_the_camera_is_open(tmp_path: Path) -> None:
    path = tmp_path / "edge-sdk.toml"
    path.write_text(CAMERA + BERLIN + '[duty]\nschedule = "00:00 to 12:00, 12:00 to 00:00, sunset to sunrise"\n')
    with load_config(path, {}).open_camera() as camera:
        assert isinstance(camera, DutyCamera)
        assert len(list(camera)) == 3
    path.write_text(CAMERA)
    with load_config(path, {}).open_camera() as camera:
        assert not isinstance(camera, DutyCamera)


def test_a_schedule_by_the_sun_without_a_place_is_a_fault_of_its_line(tmp_path: Path) -> None:
    path = tmp_path / "edge-sdk.toml"
    for place in ("", '[deployment]\nplace = "alps"\n'):
        path.write_text(place + CAMERA + '[duty]\nschedule = "sunset to sunrise"\n')
        (fault,) = find_faults(read(path, {}))
        assert fault.key == "duty.schedule" and "deployment.place" in fault.text
        assert fault.where.endswith(f":{4 + place.count(chr(10))}")
    path.write_text(CAMERA + '[duty]\nschedule = "at night"\n')
    (fault,) = find_faults(read(path, {}))
    assert "expected times such as" in fault.text and fault.where.endswith(":4")


def test_a_sensor_on_a_machine_without_pins_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gpiozero", reason='needs gpiozero, of the extra "gpio"')
    from gpiozero import Device

    monkeypatch.setattr(Device, "pin_factory", None)
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "native")
    settings = DutySettings(pir_pin=17)
    with pytest.raises(CameraError, match="no GPIO pins here"):
        settings.open(lambda: pytest.fail("opened"), settings.hours(Place(0, 0), None))


@pytest.mark.parametrize(
    "bad", [{"schedule": "now"}, {"pir_pin": 99}, {"look_s": 0.0}, {"look_s": float("nan")}, {"min_charge": 1.0}]
)
def test_settings_that_cannot_be_used(bad: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"expected (times|pir_pin|look_s|min_charge)|schedule: expected"):
        DutySettings(**bad)
