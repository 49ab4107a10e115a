from __future__ import annotations

import queue
import threading
from datetime import UTC, datetime, timedelta
from itertools import islice

import numpy as np
import pytest

from edge_sdk.camera.base import Fault
from edge_sdk.camera.live import Backoff, LiveCamera, Shot
from edge_sdk.errors import CameraError, ConfigError, ImageError

START = datetime(2026, 5, 1, tzinfo=UTC)
AT_ONCE = Backoff(first_s=0.0, longest_s=0.0)


class Driver:
    """A camera whose pictures a test hands in one by one; picture number n is all n. An exception is raised."""

    def __init__(self) -> None:
        self.pictures: queue.Queue[int | Exception] = queue.Queue()
        self.asked = threading.Semaphore(0)
        self.opened = 0
        self.closed = 0
        self.refuses = 0

    def connect(self) -> Driver:
        if self.refuses > 0:
            self.refuses -= 1
            raise CameraError("nobody answers")
        self.opened += 1
        return self

    def read(self) -> Shot:
        self.asked.release()
        picture = self.pictures.get()
        if isinstance(picture, Exception):
            raise picture
        return Shot(np.full((2, 2, 3), picture, np.uint8), START + timedelta(seconds=picture))

    def close(self) -> None:
        self.closed += 1

    def hand_in(self, *pictures: int | Exception) -> None:
        """Give the reading thread these pictures, and return when it has taken in all of them."""
        for picture in pictures:
            self.pictures.put(picture)
        for _ in range(len(pictures) + 1):
            self.asked.acquire()
        self.asked.release()

    def end(self, camera: LiveCamera) -> None:
        self.pictures.put(CameraError("the end"))
        camera.close()


def numbers(camera: LiveCamera, count: int) -> list[int]:
    return [int(frame.image[0, 0, 0]) for frame in islice(camera, count)]


def test_a_slow_consumer_gets_the_newest_frame() -> None:
    driver = Driver()
    camera = LiveCamera("cam", driver.connect)
    driver.hand_in(1, 2, 3)
    assert numbers(camera, 1) == [3]
    assert camera.dropped == 2
    driver.hand_in(4)
    assert numbers(camera, 1) == [4]
    assert camera.dropped == 2
    driver.end(camera)


def test_frames_carry_the_drivers_time_and_the_source() -> None:
    driver = Driver()
    camera = LiveCamera("cam", driver.connect)
    driver.hand_in(5)
    (frame,) = islice(camera, 1)
    assert (frame.source, frame.captured_at) == ("cam", START + timedelta(seconds=5))
    driver.end(camera)


def test_a_lost_connection_comes_back_and_is_reported() -> None:
    driver = Driver()
    faults: list[Fault] = []
    camera = LiveCamera("cam", driver.connect, on_fault=faults.append, backoff=AT_ONCE)
    driver.hand_in(1)
    assert numbers(camera, 1) == [1]
    driver.refuses = 2
    driver.hand_in(CameraError("cable pulled"), 2)
    assert numbers(camera, 1) == [2]
    assert [str(fault.error) for fault in faults] == ["cable pulled", "nobody answers", "nobody answers"]
    assert {fault.source for fault in faults} == {"cam"}
    assert (camera.reconnects, driver.opened, driver.closed) == (1, 2, 1)
    driver.end(camera)
    assert driver.closed == 2


def test_the_first_connection_must_succeed() -> None:
    driver = Driver()
    driver.refuses = 1
    with pytest.raises(CameraError, match="nobody answers"):
        LiveCamera("cam", driver.connect)


def test_a_camera_that_is_waited_for() -> None:
    driver = Driver()
    driver.refuses = 2
    faults: list[Fault] = []
    camera = LiveCamera("cam", driver.connect, on_fault=faults.append, backoff=AT_ONCE, wait_for_camera=True)
    driver.hand_in(1)
    assert numbers(camera, 1) == [1]
    assert [str(fault.error) for fault in faults] == ["nobody answers"] * 2
    driver.end(camera)


def test_a_broken_picture_is_a_fault_and_the_next_one_comes() -> None:
    driver = Driver()
    faults: list[Fault] = []
    camera = LiveCamera("cam", driver.connect, on_fault=faults.append)
    driver.hand_in(*[ImageError("broken")] * 5, 1)
    assert numbers(camera, 1) == [1]
    assert len(faults) == 3  # the 1st, 2nd and 4th of them in a row
    assert driver.opened == 1
    driver.end(camera)


def test_a_camera_of_which_every_picture_is_broken_is_opened_again() -> None:
    driver = Driver()
    camera = LiveCamera("cam", driver.connect, backoff=AT_ONCE)
    driver.hand_in(*[ImageError("broken")] * 32, 1)
    assert numbers(camera, 1) == [1]
    assert camera.reconnects == 1
    driver.end(camera)


def test_a_frozen_picture_is_a_fault_with_its_length_and_is_not_handed_out() -> None:
    driver = Driver()
    now_s = [0.0]
    faults: list[Fault] = []
    camera = LiveCamera("cam", driver.connect, on_fault=faults.append, backoff=AT_ONCE, clock=lambda: now_s[0])
    for now_s[0] in range(11):
        driver.hand_in(7)
        if now_s[0] < 10:
            assert numbers(camera, 1) == [7]
    assert [str(fault.error) for fault in faults] == [
        "the picture of cam has been the same for 10 s (11 times): such pictures are left out"
    ]
    assert camera.reconnects == 1  # a camera that hangs may come to when it is opened again
    now_s[0] = 15.0
    driver.hand_in(7)
    now_s[0] = 16.0
    driver.hand_in(8)
    assert numbers(camera, 1) == [8]
    assert str(faults[1].error).startswith("the picture of cam moves again: it was the same for 16 s (12 times)")
    driver.end(camera)


def test_a_driver_that_hangs_is_told_and_interrupted() -> None:
    told = threading.Event()

    class Hanging(Driver):
        def interrupt(self) -> None:
            self.pictures.put(CameraError("interrupted"))

    driver = Hanging()
    faults: list[Fault] = []

    def on_fault(fault: Fault) -> None:
        faults.append(fault)
        if len(faults) == 2:
            driver.pictures.put(1)
            told.set()

    camera = LiveCamera("cam", driver.connect, on_fault=on_fault, backoff=AT_ONCE, silent_s=0.01)
    assert numbers(camera, 1) == [1]
    assert told.is_set()
    assert str(faults[0].error) == "cam has given neither picture nor error for 0.01 s"
    assert "interrupted" in [str(fault.error) for fault in faults]
    camera.close()


def test_close_ends_a_waiting_iteration() -> None:
    driver = Driver()
    camera = LiveCamera("cam", driver.connect)
    seen: list[int] = []
    consumer = threading.Thread(target=lambda: seen.extend(numbers(camera, 5)))
    consumer.start()
    driver.end(camera)
    consumer.join()
    assert seen == []
    assert list(camera) == []
    camera.close()


def test_close_wakes_a_camera_that_waits_to_connect_again() -> None:
    driver = Driver()
    lost = threading.Event()
    camera = LiveCamera("cam", driver.connect, on_fault=lambda _: lost.set(), backoff=Backoff(first_s=1000.0))
    driver.pictures.put(CameraError("gone"))
    lost.wait()
    camera.close()
    camera._thread.join()  # which `close` waits for 5 s at the most
    assert driver.closed == 1


def test_a_drivers_own_error_reaches_the_consumer() -> None:
    driver = Driver()
    camera = LiveCamera("cam", driver.connect)
    driver.pictures.put(ZeroDivisionError("driver bug"))
    with pytest.raises(CameraError, match="reading from cam failed: driver bug"):
        next(iter(camera))
    camera.close()
    assert driver.closed == 1


def test_fps_holds_frames_back() -> None:
    driver = Driver()
    now_s = [0.0]
    camera = LiveCamera("cam", driver.connect, fps=1000.0, clock=lambda: now_s[0])
    frames = iter(camera)
    driver.hand_in(1)
    assert next(frames).image[0, 0, 0] == 1
    driver.hand_in(2, 3)
    now_s[0] = 0.001
    assert next(frames).image[0, 0, 0] == 3
    assert camera.dropped == 1
    driver.end(camera)
    with pytest.raises(ConfigError, match="expected fps"):
        LiveCamera("cam", driver.connect, fps=0)


def test_waits_double_up_to_the_longest() -> None:
    assert list(islice(Backoff(0.5, 4.0).waits(), 6)) == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0]
