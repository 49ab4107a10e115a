from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timedelta, timezone
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from stream_servers import MjpegHandler, serving

from edge_sdk.camera import Fault, open_camera
from edge_sdk.camera.base import PacedCamera
from edge_sdk.camera.folder import FolderCamera
from edge_sdk.camera.video import VideoFile
from edge_sdk.errors import CameraError, ConfigError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("fox/1.png", "deer/2.png"):
        (tmp_path / name).parent.mkdir()
        cv2.imwrite(str(tmp_path / name), np.zeros((8, 8, 3), np.uint8))
    return tmp_path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for _ in range(10):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    return path


def test_a_folder_by_text_or_path_with_or_without_truth(photos: Path) -> None:
    for url in (str(photos), photos):
        with open_camera(url) as camera:
            assert [frame.truth for frame in camera] == [None, None]
    with open_camera(f"{photos}?truth=folders") as camera:
        assert [frame.truth for frame in camera] == ["deer", "fox"]


def test_one_photo_and_the_fault_of_a_broken_one(photos: Path) -> None:
    assert isinstance(open_camera(photos / "fox" / "1.png"), FolderCamera)
    (photos / "fox" / "1.png").write_text("broken")
    faults: list[Fault] = []
    with open_camera(str(photos), on_fault=faults.append) as camera:
        assert len(list(camera)) == 1
    assert [Path(fault.source).name for fault in faults] == ["1.png"]


def test_a_video_with_options(clip: Path) -> None:
    with open_camera(f"{clip}?realtime=no&start=2026-05-01T12:00:00+02:00", fps=5) as camera:
        assert isinstance(camera, VideoFile)
        frames = list(camera)
    assert len(frames) == 5
    assert frames[0].captured_at == datetime(2026, 5, 1, 12, tzinfo=timezone(timedelta(hours=2)))


def test_the_simulated_camera_also_slowed_down() -> None:
    with open_camera("simulated://trailcam?seed=3&size=160x120") as camera:
        quick = [frame.image.sum() for frame in islice(camera, 2)]
    with open_camera("simulated://trailcam?seed=3&size=160x120", fps=1000) as camera:
        assert isinstance(camera, PacedCamera)
        assert [frame.image.sum() for frame in islice(camera, 2)] == quick


def test_a_network_camera() -> None:
    with serving(MjpegHandler) as server, open_camera(f"http://127.0.0.1:{server.port}/") as camera:
        (frame,) = islice(camera, 1)
    assert frame.image.shape == (48, 64, 3)


def test_a_home_folder_is_expanded(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(photos))
    with open_camera("~/fox") as camera:
        assert len(list(camera)) == 1


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nowhere", "there is no file or folder nowhere"),
        ("nowhere.mp4?realtime=yes", r"there is no file or folder nowhere\.mp4$"),
        ("999", "there is no camera /dev/video999"),
        (999, "there is no camera /dev/video999"),
    ],
)
def test_nothing_there(url: str | int, said: str) -> None:
    with pytest.raises(CameraError, match=said):
        open_camera(url)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("truth=names", "expected truth=folders; got truth=names"),
        ("labels=folders", "unknown camera option labels for .*: expected truth"),
    ],
)
def test_wrong_folder_options(photos: Path, query: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        open_camera(f"{photos}?{query}")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("start=yesterday", "expected start as a date and time such as .*; got 'yesterday'"),
        ("start=2026-05-01T12:00:00", "expected the video's start with a time zone"),
        ("realtime=perhaps", "expected realtime=yes or realtime=no"),
        ("truth=folders", "unknown camera option truth for .*: expected realtime, start, zone, clock_offset"),
    ],
)
def test_wrong_video_options(clip: Path, query: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        open_camera(f"{clip}?{query}")


@pytest.mark.parametrize("url", ["0?fps=3", "picamera2://?rotate=90", "gopher://x", "simulated://zoo"])
def test_wrong_addresses(url: str) -> None:
    with pytest.raises(ConfigError, match="expected"):
        open_camera(url)


@pytest.mark.parametrize("fps", [0, -2.0, "fast"])
def test_wrong_rates(fps: Any) -> None:
    with pytest.raises(ConfigError, match="expected fps as a positive number"):
        open_camera("simulated://trailcam", fps=fps)


def test_importing_does_not_load_opencv() -> None:
    code = "import sys, edge_sdk.camera; sys.exit('cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_clock_of_a_camera(photos: Path, clip: Path) -> None:
    day = 86_400
    for url in (photos / "fox", photos / "fox" / "1.png", clip):
        plain = next(iter(open_camera(url)))
        with open_camera(f"{url}?clock_offset=-1d") as camera:
            assert (plain.captured_at - next(iter(camera)).captured_at).total_seconds() == pytest.approx(day, abs=1)
    assert next(iter(open_camera(f"{photos}/fox?zone=Europe/Berlin"))).still


def test_an_empty_folder_is_watched(tmp_path: Path) -> None:
    camera = open_camera(f"{tmp_path}?watch=yes", fps=5)
    camera.close()
    assert list(camera) == []
