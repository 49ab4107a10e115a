from __future__ import annotations

import queue
import threading
from datetime import UTC, datetime, timedelta
from itertools import islice

import numpy as np
import pytest

from edge_sdk.camera.base import Fault
from edge_sdk.camera.live import Backoff, LiveCamera, Shot
from edge_sdk.errors import CameraError, ConfigError

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
    assert not camera._thread.is_alive()
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
