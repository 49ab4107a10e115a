from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice, pairwise
from typing import Any

import numpy as np
import pytest

from edge_sdk.camera.base import CameraBase, Fault
from edge_sdk.duty import DutyCamera, PirSensor, Schedule, SupplyState
from edge_sdk.errors import CameraError, ConfigError
from edge_sdk.testing import FakeClock, FakeTrigger
from edge_sdk.types import Frame

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
IMAGE = np.zeros((4, 6, 3), np.uint8)


class Stage:
    """A clock that passes with each frame and each sleep, and what happens while it sleeps."""

    def __init__(self) -> None:
        self.clock = FakeClock(NOON.timestamp())
        self.slept: list[float | None] = []
        self.opened = 0
        self.on_sleep: Callable[[], None] = lambda: None
        self.camera: DutyCamera | None = None

    def open(self) -> CameraBase:
        self.opened += 1
        stage = self

        class EachSecond(CameraBase):
            def __iter__(self) -> Iterator[Frame]:
                while not self._stopped.is_set():
                    stage.clock.pass_s(1)
                    yield Frame(IMAGE, datetime.fromtimestamp(stage.clock.wall_s(), UTC), "cam")

        return EachSecond()

    def pause(self, news: threading.Event, seconds: float | None) -> None:
        self.slept.append(seconds)
        assert len(self.slept) < 1000
        self.clock.pass_s(300 if seconds is None else seconds)
        self.on_sleep()

    def duty(self, **settings: Any) -> DutyCamera:
        settings.setdefault("opener", self.open)
        self.camera = DutyCamera(clock=self.clock, pause=self.pause, **settings)
        return self.camera


def test_it_sleeps_until_it_is_time(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    stage = Stage()
    with stage.duty(schedule=Schedule.parse("18:00 to 18:01", zone=UTC)) as camera:
        frames = list(islice(camera, 70))
    assert {frame.captured_at.hour for frame in frames} == {18}
    assert (frames[0].captured_at.minute, frames[0].captured_at.day) == (0, 1)
    assert frames[-1].captured_at.day == 2  # the rest is the next day's
    assert stage.opened == 2
    said = [record.getMessage().split(" at least until")[0] for record in caplog.records]
    assert said == ["asleep", "looking", "asleep", "looking"]
    assert max(one for one in stage.slept if one is not None) <= 600  # the clock may be set meanwhile


def test_a_trigger_wakes_it_for_a_while() -> None:
    stage, trigger = Stage(), FakeTrigger()
    stage.on_sleep = trigger.fire
    with stage.duty(trigger=trigger, look_s=10) as camera:
        running = iter(camera)
        frames = list(islice(running, 25))
        assert camera.is_awake and camera.spent.wakes == 2 and camera.asleep == ""
        running.close()  # type: ignore[attr-defined]
        assert not camera.is_awake and camera.asleep == "until something moves"
    assert stage.opened == 3
    assert stage.slept == [None] * 3
    apart = [(b.captured_at - a.captured_at).total_seconds() for a, b in pairwise(frames)]
    assert sorted(set(apart)) == [1.0, 301.0]
    assert camera.spent.asleep_s == 900 and camera.spent.wakes == 3
    assert camera.spent.awake_s == 25
    assert trigger.is_closed


def test_motion_that_lasts_keeps_it_awake() -> None:
    stage, trigger = Stage(), FakeTrigger()
    trigger.is_active = True
    with stage.duty(trigger=trigger, look_s=5) as camera:
        for number, _ in enumerate(camera):
            if number == 30:
                trigger.is_active = False
                trigger.fire()
                stage.on_sleep = camera.close
    assert stage.opened == 1
    assert number in (34, 35)


def test_triggers_outside_the_schedule_wake_nobody() -> None:
    stage, trigger = Stage(), FakeTrigger()
    stage.on_sleep = trigger.fire
    with stage.duty(trigger=trigger, schedule=Schedule.parse("20:00 to 21:00", zone=UTC)) as camera:
        (frame,) = islice(camera, 1)
    assert frame.captured_at.hour == 20


def test_an_empty_battery_wakes_nobody_until_it_has_recovered() -> None:
    class Battery:
        charge: float | None = 0.1

        def read(self) -> SupplyState:
            return SupplyState(self.charge)

    stage, battery = Stage(), Battery()

    def charge() -> None:
        assert battery.charge is not None
        battery.charge += 0.01

    stage.on_sleep = charge
    with stage.duty(supply=battery, min_charge=0.2) as camera:
        _ = list(islice(camera, 1))
        assert battery.charge is not None and battery.charge >= 0.239
        battery.charge = None  # the gauge fails: it counts as full
        stage.clock.pass_s(100)
        assert len(list(islice(camera, 3))) == 3


def test_a_camera_that_cannot_be_opened_is_a_fault_and_tried_again() -> None:
    stage, faults, tries = Stage(), list[Fault](), [0]

    def opener() -> CameraBase:
        tries[0] += 1
        if tries[0] < 4:
            raise CameraError("no camera")
        return stage.open()

    with stage.duty(opener=opener, on_fault=faults.append) as camera:
        assert len(list(islice(camera, 2))) == 2
    assert [str(fault.error) for fault in faults] == ["no camera"] * 3
    assert stage.slept == [0.5, 1.0, 2.0]


def test_the_cameras_own_end_is_the_end_without_a_trigger() -> None:
    class Short(CameraBase):
        def __iter__(self) -> Iterator[Frame]:
            yield Frame(IMAGE)

    stage = Stage()
    assert len(list(stage.duty(opener=Short))) == 1
    trigger = FakeTrigger()
    trigger.is_active = True
    assert len(list(islice(stage.duty(opener=Short, trigger=trigger), 3))) == 3
    assert stage.slept == [0.5, 0.5]  # never a loop without a pause


def test_closing_ends_a_sleep_in_real_time() -> None:
    camera = DutyCamera(lambda: pytest.fail("nobody fired"), trigger=FakeTrigger())
    closer = threading.Timer(0.05, camera.close)
    closer.start()
    assert list(camera) == []
    closer.join()


def test_a_real_pin_of_gpiozero_wakes_it() -> None:
    pytest.importorskip("gpiozero", reason='needs gpiozero, of the extra "gpio"')
    from gpiozero.pins.mock import MockFactory

    factory = MockFactory()
    stage = Stage()
    stage.on_sleep = lambda: factory.pin(17).drive_high()
    with stage.duty(trigger=PirSensor(17, pin_factory=factory), look_s=5) as camera:
        assert len(list(islice(camera, 9))) == 9  # longer than look_s: the pin is still high
    assert stage.opened == 1
    factory.reset()


@pytest.mark.parametrize("bad", [{"look_s": 0}, {"look_s": float("inf")}, {"min_charge": 1}, {"min_charge": -0.1}])
def test_settings_that_cannot_be_used(bad: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        Stage().duty(**bad)
