from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import cv2
import numpy as np
import PIL.Image
import pytest

from edge_sdk.camera.base import Fault
from edge_sdk.camera.folder import FolderCamera
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
    with pytest.raises(
        CameraError, match=r"expected images \(.*\.jpg.*\) or videos \(.*\) in the folder .*; got 1 other files"
    ):
        FolderCamera(tmp_path)


def dated(path: Path, *texts: str, offset: str | None = None) -> None:
    """Photos with these dates of capture, in this order."""
    path.mkdir(exist_ok=True)
    for number, text in enumerate(texts):
        exif = PIL.Image.Exif()
        exif.get_ifd(0x8769).update({0x9003: text} | ({} if offset is None else {0x9011: offset}))
        PIL.Image.new("RGB", (8, 8)).save(path / f"IMG_{number:04}.JPG", exif=exif)


@pytest.mark.parametrize("changed_s", [-62_135_596_800, -5e9, -1, 0, 253_402_300_900, 2**33])
def test_any_date_of_a_file(tmp_path: Path, changed_s: float) -> None:
    write(tmp_path / "a.png", changed_s=1_700_000_000)
    write(tmp_path / "b.png", changed_s=changed_s)
    video(tmp_path / "c.avi")
    os.utime(tmp_path / "c.avi", (changed_s, changed_s))
    faults: list[Fault] = []
    camera = FolderCamera(tmp_path, on_fault=faults.append)
    first, second, *rest = sorted(camera, key=lambda frame: frame.source)
    assert faults == []
    assert len(rest) == 5
    assert first.note == ""
    assert "the time is that of reading" in second.note
    assert abs(second.captured_at - datetime.now(UTC)) < timedelta(days=1)
    assert all(abs(frame.captured_at - datetime.now(UTC)) < timedelta(days=1) for frame in rest)
    assert camera.counts.wrong_times == 1


@pytest.mark.parametrize("text", ["1970:01:01 00:00:07", "0000:00:00 00:00:00", "2199:01:01 00:00:00"])
def test_a_time_of_the_camera_that_cannot_be_gives_way_to_the_files(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    dated(tmp_path, text, text, "2024:05:01 10:00:00")
    for path in tmp_path.iterdir():
        os.utime(path, (1_700_000_000, 1_700_000_000))
    camera = FolderCamera(tmp_path, zone=UTC)
    frames = list(camera)
    assert [frame.captured_at.year for frame in frames] == [2023, 2023, 2024]
    assert [bool(frame.note) for frame in frames] == [True, True, False]
    assert "the time is that of the file's last change" in frames[0].note
    assert "of 2 frames the camera's time cannot be right" in camera.summary
    assert caplog.text.count("said of the first such file only") == 1


def test_zone_and_offset_of_the_camera_s_clock(tmp_path: Path) -> None:
    dated(tmp_path / "bare", "2024:05:01 12:00:00")
    dated(tmp_path / "own", "2024:05:01 12:00:00", offset="+09:00")
    ahead = timedelta(minutes=-30)
    times = [frame.captured_at for frame in FolderCamera(tmp_path, zone=ZoneInfo("Europe/Berlin"), clock_offset=ahead)]
    assert times == [datetime(2024, 5, 1, 9, 30, tzinfo=UTC), datetime(2024, 5, 1, 2, 30, tzinfo=UTC)]


def test_a_burst_over_the_end_of_summer_time_stays_in_order(tmp_path: Path) -> None:
    dated(tmp_path / "100MEDIA", "2025:10:26 02:59:58", "2025:10:26 02:59:59")
    dated(tmp_path / "101MEDIA", "2025:10:26 02:00:00", "2025:10:26 02:00:01", "2025:10:26 03:00:00")
    dated(tmp_path / "other site", "2025:10:26 02:10:00")
    *times, other = [frame.captured_at for frame in FolderCamera(tmp_path, zone=ZoneInfo("Europe/Berlin"))]
    assert times == sorted(times)
    assert [f"{moment.astimezone(UTC):%H:%M:%S}" for moment in times] == [
        *("00:59:58", "00:59:59", "01:00:00", "01:00:01", "02:00:00")
    ]
    assert other == datetime(2025, 10, 26, 0, 10, tzinfo=UTC)


def video(path: Path, frames: int = 5) -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for value in range(frames):
        writer.write(np.full((48, 64, 3), 20 * value, np.uint8))
    writer.release()


def test_photos_and_videos_of_one_folder(tmp_path: Path) -> None:
    write(tmp_path / "fox" / "IMG_0001.JPG")
    video(tmp_path / "fox" / "IMG_0002.AVI")
    write(tmp_path / "fox" / "IMG_0003.JPG")
    (tmp_path / "fox" / "IMG_0004.MP4").write_bytes(b"no video")
    (tmp_path / "fox" / "IMG_0004.THM").write_bytes(b"no photo")
    faults: list[Fault] = []
    camera = FolderCamera(tmp_path, truth_from_folders=True, clock_offset=timedelta(hours=1), on_fault=faults.append)
    frames = list(camera)
    assert [Path(frame.source).name[7] for frame in frames] == list("1222223")
    assert [frame.still for frame in frames] == [True, *[False] * 5, True]
    assert {frame.truth for frame in frames} == {"fox"}
    steps = [(later.captured_at - earlier.captured_at).total_seconds() for earlier, later in pairwise(frames[1:6])]
    assert steps == pytest.approx([0.1] * 4)
    assert frames[1].captured_at > datetime.now(UTC) + timedelta(minutes=50)
    assert [Path(fault.source).name for fault in faults] == ["IMG_0004.MP4"]
    assert camera.summary == "files: 2 photos and 1 videos read (7 frames), 1 passed over, 1 broken"


def test_videos_alone_and_their_rate(tmp_path: Path) -> None:
    video(tmp_path / "a.avi", 10)
    assert len(list(FolderCamera(tmp_path, fps=5))) == 5


def test_names_of_any_bytes_are_one_line_of_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in (b"\xff\xfe", b"line\nbreak", b"\x1b[31mred", b"%s%n"):
        path = os.fsencode(tmp_path) + b"/" + name
        Path(os.fsdecode(path + b".png")).write_bytes(cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes())
        Path(os.fsdecode(path + b".jpg")).write_bytes(b"broken")
        Path(os.fsdecode(path + b".mp4")).write_bytes(b"broken")
    camera = FolderCamera(tmp_path)
    assert len(list(camera)) == 4
    assert camera.counts.broken == 8
    assert all(record.getMessage().isprintable() for record in caplog.records)


def test_a_pipe_never_holds_the_camera_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    faults: list[Fault] = []
    assert list(FolderCamera(tmp_path / "a.jpg", on_fault=faults.append)) == []
    assert "got a folder, pipe or device" in str(faults[0].error)
    with pytest.raises(CameraError, match="got 1 other files"):
        FolderCamera(tmp_path)


class Remembered:
    """What was done, in memory."""

    def __init__(self) -> None:
        self.marks: set[str] = set()
        self.frames: set[str] = set()

    def contains(self, mark: str) -> bool:
        return mark in self.marks

    def add(self, mark: str) -> None:
        self.marks.add(mark)

    def frame_id(self, mark: str, place: str = "") -> str:
        return hashlib.md5(f"{mark}{place}".encode(errors="surrogateescape")).hexdigest()

    def has_frame(self, frame_id: str) -> bool:
        return frame_id in self.frames


def test_files_that_were_done_are_passed_over(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / f"{number}.png")
    video(tmp_path / "4.avi")
    done = Remembered()

    def run(most: int | None = None, again: bool = False) -> tuple[list[str], str]:
        camera = FolderCamera(tmp_path, again=again)
        camera.skip_done(done)
        seen = []
        for frame in islice(camera, most):
            done.frames.add(frame.frame_id)
            seen.append(Path(frame.source).stem)
        return seen, camera.summary

    assert run(2)[0] == ["0", "1"]
    assert run(3)[0] == ["2", "4", "4"]  # stopped within the video
    assert run()[0] == ["4", "4", "4"]
    seen, summary = run()
    assert seen == []
    assert "4 done before" in summary
    assert len(run(again=True)[0]) == 8
    write(tmp_path / "1.png", value=9, changed_s=1_700_000_000)
    assert run()[0] == ["1"]


def test_a_folder_that_grows(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"half")
    camera = FolderCamera(tmp_path, watch=True, clock=iter(range(0, 10_000, 3)).__next__)
    frames = iter(camera)
    write(tmp_path / "0.png", value=5)
    assert Path(next(frames).source).name == "0.png"
    write(tmp_path / "1.png", value=6)
    assert Path(next(frames).source).name == "1.png"
    camera.close()
    assert list(frames) == []
    assert camera.counts.photos == 2
    assert camera.counts.broken == 0


def test_an_empty_folder_can_be_watched(tmp_path: Path) -> None:
    camera = FolderCamera(tmp_path, watch=True)
    camera.close()
    assert list(camera) == []


@pytest.mark.data
def test_real_trap_photos(data_dir: Path) -> None:
    faults: list[Fault] = []
    with FolderCamera(data_dir / "trap_photos", truth_from_folders=True, on_fault=faults.append) as camera:
        frames = list(camera)
    assert faults == []
    assert len(frames) == len(camera) == 21
    assert {frame.truth for frame in frames} >= {"grey_fox", "american_crow"}
    assert max(frame.image.shape for frame in frames) == (1944, 2592, 3)
