from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.camera.base import Fault
from edge_sdk.camera.folder import FolderCamera, natural_key
from edge_sdk.errors import CameraError, ImageError


def write(path: Path, value: int = 0, changed_s: float | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((8, 8, 3), value, np.uint8))
    if changed_s is not None:
        os.utime(path, (changed_s, changed_s))


def test_all_images_at_all_depths_in_natural_order(tmp_path: Path) -> None:
    for name in ("img10.jpg", "img2.JPG", "IMG1.png", "b/x.bmp", "a10/x.webp", "a9/x.tiff", ".hidden/x.jpg", "._x.jpg"):
        write(tmp_path / name) if not name.endswith("JPG") else (tmp_path / name).write_bytes(
            cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
        )
    (tmp_path / "notes.txt").write_text("no image")
    with FolderCamera(tmp_path) as camera:
        assert len(camera) == 6
        names = [str(Path(frame.source).relative_to(tmp_path)) for frame in camera]
    assert names == ["a9/x.tiff", "a10/x.webp", "b/x.bmp", "IMG1.png", "img2.JPG", "img10.jpg"]


@given(numbers=st.lists(st.integers(0, 10**12), unique=True))
def test_natural_order_is_numeric(numbers: list[int]) -> None:
    names = sorted((f"trap/IMG_{number}.jpg" for number in numbers), key=natural_key)
    assert names == [f"trap/IMG_{number}.jpg" for number in sorted(numbers)]


@given(st.lists(st.text(max_size=8)))
def test_natural_order_takes_any_names(names: list[str]) -> None:
    assert sorted(sorted(names, key=natural_key), key=natural_key) == sorted(names, key=natural_key)


def test_capture_time_is_from_exif_else_from_the_file(tmp_path: Path) -> None:
    write(tmp_path / "a.jpg", changed_s=1_700_000_000.5)
    exif = PIL.Image.Exif()
    exif.get_ifd(0x8769).update({0x9003: "2024:05:01 10:11:12", 0x9011: "+00:00"})
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / "b.jpg", exif=exif)
    times = [frame.captured_at for frame in FolderCamera(tmp_path)]
    assert times == [datetime.fromtimestamp(1_700_000_000.5, UTC), datetime(2024, 5, 1, 10, 11, 12, tzinfo=UTC)]


def test_truth_only_when_asked_for(tmp_path: Path) -> None:
    for name in ("fox/1.png", "fox/more/2.png", "deer/1.png", "top.png"):
        write(tmp_path / name)
    assert {frame.truth for frame in FolderCamera(tmp_path)} == {None}
    assert [frame.truth for frame in FolderCamera(tmp_path, truth_from_folders=True)] == ["deer", "fox", "fox", None]


def test_broken_files_are_faults_and_the_folder_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(4):
        write(tmp_path / f"{number}.jpg", value=number)
    (tmp_path / "1.jpg").write_bytes((tmp_path / "1.jpg").read_bytes()[:-20])
    (tmp_path / "2.jpg").write_text("not an image")
    faults: list[Fault] = []
    camera = FolderCamera(tmp_path, on_fault=faults.append)
    (tmp_path / "0.jpg").unlink()  # after the folder was listed
    assert [Path(frame.source).name for frame in camera] == ["3.jpg"]
    assert [Path(fault.source).name for fault in faults] == ["0.jpg", "1.jpg", "2.jpg"]
    assert all(isinstance(fault.error, ImageError) for fault in faults)
    for fault, said in zip(faults, ("cannot be read", "truncated", "expected a JPEG"), strict=True):
        assert said in str(fault.error)
        assert str(fault.error) in caplog.text


def test_one_image_file(tmp_path: Path) -> None:
    write(tmp_path / "one.png", value=7)
    (frame,) = FolderCamera(tmp_path / "one.png")
    assert frame.source == str(tmp_path / "one.png")
    assert (frame.image == 7).all()


def test_closing_ends_the_iteration(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / f"{number}.png")
    seen = 0
    with FolderCamera(tmp_path) as camera:
        for _ in camera:
            seen += 1
            camera.close()
    assert seen == 1


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match=r"there is no file or folder .*nowhere"):
        FolderCamera(tmp_path / "nowhere")
    (tmp_path / "a.txt").touch()
    with pytest.raises(CameraError, match=r"expected images \(.*\.jpg.*\) in the folder .*; got 1 other files"):
        FolderCamera(tmp_path)


@pytest.mark.data
def test_real_trap_photos(data_dir: Path) -> None:
    faults: list[Fault] = []
    with FolderCamera(data_dir / "trap_photos", truth_from_folders=True, on_fault=faults.append) as camera:
        frames = list(camera)
    assert faults == []
    assert len(frames) == len(camera) == 21
    assert {frame.truth for frame in frames} >= {"grey_fox", "american_crow"}
    assert max(frame.image.shape for frame in frames) == (1944, 2592, 3)
