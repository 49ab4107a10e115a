"""Cameras that are there, and the one that is named."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from doctor_parts import board, found, look

from edge_sdk.doctor import camera as camera_check
from edge_sdk.doctor.camera import video_devices
from edge_sdk.doctor.finding import Asked, Case, Level
from edge_sdk.doctor.machine import Machine

LISTED = """Available cameras
-----------------
0 : imx708 [4608x2592 10-bit RGGB] (/base/soc/i2c0mux/i2c@1/imx708@1a)
    Modes: 'SRGGB10_CSI2P' : 1536x864 [120.13 fps - (768, 432)/3072x1728 crop]
1 : ov5647 [2592x1944 10-bit GBRG] (/base/soc/i2c0mux/i2c@0/ov5647@36)
"""


def program(folder: Path, name: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\ncat <<'END'\n{said}\nEND\n")
    (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_codecs_scalers_and_second_nodes_are_no_cameras(tmp_path: Path) -> None:
    assert video_devices(board("pi_zero_2_w", tmp_path / "zero")) == []
    assert video_devices(board("pi_5", tmp_path / "five")) == [("/dev/video0", "Logitech Webcam C270")]


def test_modules_are_those_that_libcamera_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = board("pi_5", tmp_path / "root", programs=True)
    program(tmp_path / "bin", "rpicam-hello", LISTED, monkeypatch)
    cameras = found("cameras", machine)
    assert cameras.level is Level.OK and cameras.values["modules"] == ["imx708 4608x2592", "ov5647 2592x1944"]


def test_a_module_that_is_asked_for_and_not_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine, asked = board("pi_zero_2_w", tmp_path / "root", programs=True), Asked(camera="picamera2://?size=640x480")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    if machine.run("rpicam-hello") is None and machine.run("cam") is None:
        assert found("cameras", machine, asked).level is Level.WARNING
        assert found("cameras", machine).level is Level.NOTE
    program(tmp_path / "bin", "libcamera-hello", "No cameras available!", monkeypatch)
    cameras = found("cameras", machine, asked)
    assert cameras.level is Level.FAULT and "ribbon cable" in cameras.do


def test_the_driver_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(camera="picamera2")
    (tmp_path / "picamera2.py").write_text("raise ModuleNotFoundError('No module named libcamera', name='libcamera')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    driver = found("picamera2", Machine(), asked)
    assert driver.level is Level.FAULT and "sudo apt install python3-picamera2" in driver.do
    (tmp_path / "picamera2.py").write_text("raise ValueError('numpy.dtype size changed')")
    driver = found("picamera2", Machine(), asked)
    assert "another numpy" in driver.found and driver.do.startswith("run `")
    (tmp_path / "picamera2.py").write_text("import os\nos.abort()")
    driver = found("picamera2", Machine(), asked)
    assert driver.level is Level.FAULT and "kills the process (SIGABRT)" in driver.found
    (tmp_path / "picamera2.py").write_text("class Picamera2: pass")
    assert found("picamera2", Machine(), asked).level is Level.OK
    assert look("picamera2", Case(Machine(tmp_path), Asked(camera="simulated://trailcam"))) is None


def test_a_camera_gives_pictures_whose_size_is_measured() -> None:
    camera = found("camera", Machine(), Asked(camera="simulated://trailcam?seed=1"))
    assert camera.level is Level.OK
    assert (camera.values["width"], camera.values["height"]) == (640, 480) and camera.values["frame_bytes"] > 3_000


def test_a_black_picture_and_an_even_one(tmp_path: Path) -> None:
    for name, value, said in (("black", 0, "black"), ("even", 120, "one even colour")):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "1.png"), np.full((60, 80, 3), value, np.uint8))
        camera = found("camera", Machine(), Asked(camera=str(tmp_path / name)))
        assert camera.level is Level.WARNING and said in camera.found


def test_cameras_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for address, said in (
        (str(tmp_path / "no-such"), "no-such"),
        (str(tmp_path / "empty"), "expected images"),
        ("/dev/video99", "/dev/video99"),
        ("http:/host/x", "without the two slashes"),
        ("rtsp://cam:secret@127.0.0.1:1/x", "127.0.0.1"),
    ):
        camera = found("camera", Machine(), Asked(camera=address))
        assert camera.level is Level.FAULT and said in camera.found and "secret" not in camera.found, camera


def test_a_watched_folder_may_be_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera_check, "_WATCH_LIMIT_S", 3.0)
    camera = found("camera", Machine(), Asked(camera=f"{tmp_path}?watch=yes"))
    assert camera.level is Level.NOTE and "watched" in camera.found


def test_a_driver_that_is_missing_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "picamera2.py").write_text("raise ModuleNotFoundError('No module named libcamera', name='libcamera')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    case = Case(Machine(), Asked(camera="picamera2"))
    driver, camera = look("picamera2", case), look("camera", case)
    assert driver is not None and driver.level is Level.FAULT
    assert camera is not None and camera.level is Level.NOTE and "`picamera2`" in camera.found


def test_no_camera_is_opened_unless_it_is_named() -> None:
    assert found("camera", Machine()).level is Level.NOTE


def test_the_bundle_s_fault_is_not_the_camera_s(tmp_path: Path) -> None:
    camera = found("camera", Machine(), Asked(camera="simulated://trailcam?seed=1", bundle=str(tmp_path)))
    assert camera.level is Level.OK and "frame_bytes" not in camera.values
