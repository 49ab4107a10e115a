from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.camera import open_camera
from edge_sdk.camera.base import Fault
from edge_sdk.camera.gate import GateReason, MotionGate
from edge_sdk.camera.live import Backoff, LiveCamera
from edge_sdk.camera.picamera import Held, PicameraGrabber, open_picamera, usual_lores
from edge_sdk.errors import CameraError, ConfigError
from edge_sdk.testing import FakePicamera2, fake_picamera2
from edge_sdk.types import Frame, Image

SIZE = (640, 480)


def scene(number: int) -> Image:
    """Red, with fine noise; from picture 20 on a dark square stands in it."""
    picture = np.full((480, 640, 3), (200, 40, 40), np.uint8)
    picture += np.random.default_rng(number).integers(0, 4, (480, 640, 1), np.uint8)
    if number >= 20:
        picture[100:220, 300 + 8 * (number - 20) : 420 + 8 * (number - 20)] = 10
    return picture


@pytest.fixture
def made() -> Iterator[list[FakePicamera2]]:
    with fake_picamera2(scene) as cameras:
        yield cameras


def test_not_installed_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(CameraError, match=r"sudo apt install python3-picamera2.*--system-site-packages"):
        open_camera("picamera2")


@pytest.mark.parametrize(
    ("statement", "cure"),
    [
        (
            "raise ValueError('numpy.dtype size changed, may indicate binary incompatibility. Expected 96, got 88')",
            "pip install --upgrade --force-reinstall simplejpeg",
        ),
        ("raise ImportError('numpy.core.multiarray failed to import')", "simplejpeg"),
        ("raise AttributeError('_ARRAY_API not found')", "simplejpeg"),
        ("raise ImportError('libcamera.so.0.3: cannot open shared object file')", "apt install --reinstall"),
        ("raise OSError('libcamera is of another\\nversion')", "apt install --reinstall"),
        ("import libcamera", "apt install python3-picamera2"),
        ("import a_module_of_others", "apt install --reinstall"),
    ],
)
def test_a_picamera2_that_cannot_be_imported_names_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str, cure: str
) -> None:
    (tmp_path / "picamera2.py").write_text(statement)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "picamera2", raising=False)
    with pytest.raises(CameraError, match=cure) as caught:
        open_camera("picamera2")
    assert "\n" not in str(caught.value)


def test_frames_are_rgb_and_timed_by_the_sensor(made: list[FakePicamera2], monkeypatch: pytest.MonkeyPatch) -> None:
    create = FakePicamera2.create_video_configuration

    def late(self: FakePicamera2, *args: Any, **settings: Any) -> dict[str, Any]:
        import time

        self.metadata["SensorTimestamp"] = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - 2_000_000_000
        return create(self, *args, **settings)

    monkeypatch.setattr(FakePicamera2, "create_video_configuration", late)
    with open_camera("picamera2://?size=320x240", fps=1000) as camera:
        (frame,) = islice(camera, 1)
        assert datetime.now(UTC) - frame.captured_at >= timedelta(seconds=1.9)
    assert frame.image.shape == (240, 320, 3)
    assert frame.image[0, 0, 0] >= 200 and frame.image[0, 0, 2] <= 50
    assert frame.source == "picamera2:0"
    assert frame.measured == {"exposure_s": 0.02, "gain": 2.0, "lux": 120.0, "celsius": 31.0}
    (driver,) = made
    assert driver.settings == {
        "main": {"size": (320, 240), "format": "BGR888"},
        "controls": {"FrameRate": 1000},
        "buffer_count": 6,
    }
    assert (driver.state, driver.out) == ("closed", 0)


def test_the_full_picture_is_read_out_for_the_frames_that_the_gate_admits(made: list[FakePicamera2]) -> None:
    gate, admitted, refused = MotionGate(), 0, 0
    grabber = PicameraGrabber(size=SIZE, lores=(320, 240))
    start = datetime(2026, 5, 1, tzinfo=UTC)
    for number in range(24):
        shot = grabber.read()
        frame = Frame.taken(shot.image, start + timedelta(seconds=number / 10))  # type: ignore[arg-type]
        if gate.admits(frame):
            admitted += 1
            assert frame.image.shape == (480, 640, 3)
            assert frame.image is frame.image
        else:
            refused += 1
    assert refused >= 10
    assert made[0].read_out == {"lores": 24, "main": admitted}
    assert gate.last is not None and gate.last.reason is GateReason.MOTION
    box = gate.last.regions[0]  # in pixels of the full picture, where the square has come to
    assert abs(box.x - 300) <= 30 and abs(box.x + box.width - 444) <= 30
    assert abs(box.y - 100) <= 12 and abs(box.y + box.height - 220) <= 12
    del shot, frame
    gc.collect()
    grabber.close()
    assert made[0].out == 0


def test_the_small_picture_is_the_scene_in_grey_whatever_the_stride(made: list[FakePicamera2]) -> None:
    grabber = PicameraGrabber(size=(600, 400), lores=(300, 200))  # 300 bytes a row are padded to 320
    shot = grabber.read()
    small, image = shot.view, shot.frame("").image
    assert small.shape == (200, 300) and small.flags["C_CONTIGUOUS"]
    grey = image.astype(float) @ (0.299, 0.587, 0.114)
    assert abs(float(small.mean()) - float(grey.mean()) * 219 / 255 - 16) < 3  # the fake's luma is of video's range
    assert small.std() < 5  # no padding in it
    grabber.close()


def test_frames_that_are_kept_stay_good_and_never_hold_up_the_camera(made: list[FakePicamera2]) -> None:
    grabber = PicameraGrabber(size=SIZE, lores=(320, 240), buffers=6)
    frames = [grabber.read().frame("") for _ in range(12)]
    assert made[0].most_out <= 4
    assert made[0].read_out["main"] == 9  # three still wait in their buffers
    grabber.close()
    assert (made[0].out, made[0].state) == (0, "closed")
    assert [int(frame.image[150, 310, 0]) > 100 for frame in frames] == [True] * 12
    assert len({frame.image.tobytes() for frame in frames}) == 12


def small_and_live(faults: list[Fault]) -> LiveCamera:
    """A live camera with a small stream, which is opened again at once."""
    return LiveCamera(
        "picamera2:0",
        lambda: PicameraGrabber(size=SIZE, lores=(320, 240)),
        on_fault=faults.append,
        backoff=Backoff(0.0, 0.0),
    )


def test_a_camera_with_a_small_picture_comes_back(made: list[FakePicamera2]) -> None:
    faults: list[Fault] = []
    with small_and_live(faults) as camera:
        frames = iter(camera)
        first = next(frames)
        made[0].lost.set()
        later = next(frames)
        while len(made) < 2:
            later = next(frames)
        assert camera.reconnects == 1
    assert "gives no more pictures" in str(faults[0].error)
    assert first.image.shape == later.image.shape == (480, 640, 3)  # that of before the loss too
    del later, first
    gc.collect()
    assert [driver.out for driver in made] == [0, 0]


def test_a_camera_that_hangs_is_given_up_and_opened_again(made: list[FakePicamera2]) -> None:
    faults: list[Fault] = []
    with small_and_live(faults) as camera:
        frames = iter(camera)
        next(frames)
        made[0].hangs = True
        while len(made) < 2:
            next(frames)
        assert camera.reconnects == 1
    assert "none came within 10 s" in str(faults[0].error)
    assert [driver.state for driver in made] == ["closed", "closed"]


def test_a_camera_that_does_not_stop_is_closed_all_the_same(
    made: list[FakePicamera2], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(FakePicamera2, "cancel_all_and_flush")  # an older picamera2
    grabber = PicameraGrabber()
    made[0].hangs = True
    grabber.close()
    assert made[0].state == "closed"


def test_a_picture_that_nobody_looked_at_is_given_back_by_the_cameras_own_thread(made: list[FakePicamera2]) -> None:
    grabber = PicameraGrabber(size=SIZE, lores=(320, 240))
    for _ in range(20):
        grabber.read()
    assert (made[0].out, made[0].read_out.get("main", 0)) == (1, 0)  # the last; the others were released unread
    grabber.close()
    assert made[0].out == 0


def test_a_picture_that_was_lost_with_its_camera_is_an_error(made: list[FakePicamera2]) -> None:
    class Broken:
        def make_array(self, name: str) -> None:
            raise RuntimeError("gone")

        def release(self) -> None:
            pass

    held = Held(Broken(), np.zeros((2, 2), np.uint8), (4, 4), lambda request: None)
    for _ in range(2):
        with pytest.raises(CameraError, match="lost"):
            held.read()


def test_addresses(made: list[FakePicamera2]) -> None:
    for address, lores in (
        ("picamera2", (320, 240)),
        ("picamera2://?size=2304x1296", (320, 180)),
        ("picamera2://?size=2304x1296&lores=640x360&buffers=8", (640, 360)),
        ("picamera2://?lores=no", None),
    ):
        open_camera(address).close()
        stream = made[-1].settings.get("lores")
        assert (stream and stream["size"]) == lores
    assert made[2].settings["buffer_count"] == 8
    with pytest.raises(ConfigError, match="expected lores with even sides, and no larger than"):
        open_camera("picamera2://?size=640x480&lores=1280x720")
    with pytest.raises(ConfigError, match="expected lores as WIDTHxHEIGHT"):
        open_camera("picamera2://?lores=small")
    with pytest.raises(ConfigError, match="expected buffers from 5 to 64; got 1"):
        open_camera("picamera2://?buffers=1")


@given(st.tuples(st.integers(1, 5000), st.integers(1, 5000)))
def test_the_usual_small_picture_fits(size: tuple[int, int]) -> None:
    lores = usual_lores(size)
    if lores is not None:
        assert max(lores) == 320 and not any(side % 2 for side in lores)
        assert all(small <= max(2, large) for small, large in zip(lores, size, strict=True))


def test_times_grow(made: list[FakePicamera2]) -> None:
    with open_camera("picamera2") as camera:
        frames = list(islice(camera, 5))
    assert all(before.captured_at < after.captured_at for before, after in pairwise(frames))


def test_no_such_camera(made: list[FakePicamera2]) -> None:
    with pytest.raises(CameraError, match="no Raspberry Pi camera 1: list index out of range"):
        open_picamera(1)


def test_an_impossible_size(made: list[FakePicamera2]) -> None:
    with fake_picamera2() as cameras, pytest.raises(CameraError, match="cannot run at 9999x9: Configuration not"):
        PicameraGrabber(size=(9999, 9))
    assert cameras[0].state == "closed"


def test_a_camera_that_stops(made: list[FakePicamera2]) -> None:
    grabber = PicameraGrabber()
    made[0].lost.set()
    with pytest.raises(CameraError, match="gives no more pictures: Camera frontend has timed out!"):
        grabber.read()
    grabber.close()
    assert made[0].state == "closed"
