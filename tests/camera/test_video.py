from __future__ import annotations

import os
import random
import re
import signal
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from fuzz.mutator import mutated
from video_files import H264, MJPEG, cut, damage, make_video, run

from edge_sdk.camera.base import Fault
from edge_sdk.camera.video import VideoFile
from edge_sdk.errors import CameraError, ConfigError
from edge_sdk.types import Frame

START = datetime(2026, 5, 1, tzinfo=UTC)
FPS, FRAMES = 10, 40


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """40 frames at 10 frames per second, each a shade of red by its number; last changed a minute past START."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (64, 48))
    for number in range(FRAMES):
        writer.write(np.full((48, 64, 3), (0, 0, 5 * number), np.uint8))
    writer.release()
    changed_s = START.timestamp() + 60
    os.utime(path, (changed_s, changed_s))
    return path


def number(frame: Frame) -> int:
    return round(float(frame.image[..., 0].mean()) / 5)


def test_every_frame_in_order_in_rgb(clip: Path) -> None:
    with VideoFile(clip) as camera:
        frames = list(camera)
        again = [number(frame) for frame in camera]
    assert [number(frame) for frame in frames] == again == list(range(FRAMES))
    assert {frame.source for frame in frames} == {str(clip)}
    assert frames[-1].image[..., 2].max() <= 2


def test_the_last_frame_is_as_old_as_the_file(clip: Path) -> None:
    times = [frame.captured_at for frame in VideoFile(clip)]
    assert abs(times[0] - (START + timedelta(seconds=60 - FRAMES / FPS))) < timedelta(milliseconds=1)
    steps = {round((after - before) / timedelta(milliseconds=1)) for before, after in pairwise(times)}
    assert steps == {1000 // FPS}


def test_a_given_start(clip: Path) -> None:
    frames = list(VideoFile(clip, start=START))
    assert frames[0].captured_at == START
    assert abs(frames[-1].captured_at - START - timedelta(seconds=3.9)) < timedelta(milliseconds=1)
    with pytest.raises(ConfigError, match="expected the video's start with a time zone"):
        VideoFile(clip, start=datetime(2026, 5, 1))


@pytest.mark.parametrize(
    ("fps", "expected"), [(5, list(range(0, 40, 2))), (1, [0, 10, 20, 30]), (100, list(range(40)))]
)
def test_thinned_by_the_videos_own_time(clip: Path, fps: float, expected: list[int]) -> None:
    assert [number(frame) for frame in VideoFile(clip, fps=fps)] == expected


def test_thinned_to_an_uneven_rate(clip: Path) -> None:
    assert len(list(VideoFile(clip, fps=3))) == 12


def test_realtime_waits_for_each_frames_time_and_close_ends_the_wait(clip: Path) -> None:
    now_s = [0.0]
    camera = VideoFile(clip, realtime=True, clock=lambda: now_s[0])
    frames = iter(camera)
    for expected in range(FRAMES):
        now_s[0] = expected / FPS
        assert number(next(frames)) == expected
    frames = iter(camera)
    now_s[0] = 0.0
    next(frames)
    now_s[0] = -1e6  # the next frame is due in days
    camera.close()
    assert list(frames) == []


def test_a_video_that_breaks_off_is_a_fault(clip: Path) -> None:
    whole = clip.read_bytes()
    clip.write_bytes(whole[: len(whole) // 2])
    faults: list[Fault] = []
    seen = [number(frame) for frame in VideoFile(clip, on_fault=faults.append)]
    assert seen == list(range(len(seen)))
    assert 5 < len(seen) < 25
    (fault,) = faults
    missing_s = (FRAMES - len(seen)) / FPS
    assert f"{missing_s:.2f} s of video is missing from {len(seen) / FPS:.2f} s on" in str(fault.error)


def watched(path: Path, **options: Any) -> tuple[list[float], list[str]]:
    """Seconds of each frame behind START, and what was told of faults."""
    faults: list[Fault] = []
    frames = list(VideoFile(path, start=START, on_fault=faults.append, **options))
    return [(frame.captured_at - START).total_seconds() for frame in frames], [str(fault.error) for fault in faults]


def missing_s(told: str) -> float:
    match = re.search(r"([\d.]+) s of video is missing", told)
    assert match is not None
    return float(match[1])


@pytest.mark.parametrize("zeros", [False, True], ids=["noise", "zeros"])
@pytest.mark.parametrize(("suffix", "codec"), [("mp4", H264), ("mkv", H264), ("ts", H264), ("avi", MJPEG)])
def test_a_damaged_stretch_costs_its_own_frames(
    tmp_path: Path, suffix: str, codec: tuple[str, ...], zeros: bool
) -> None:
    path = make_video(tmp_path / f"a.{suffix}", *codec, seconds=8, noisy=True)
    damage(path, 0.5, 0.06, zeros=zeros)
    times, told = watched(path)
    assert 50 <= len(times) < 80
    assert times[0] == 0
    assert times[-1] == pytest.approx(7.9, abs=0.11)
    assert all(before < after for before, after in pairwise(times))
    assert sum(map(missing_s, told)) == pytest.approx(8.0 - len(times) / 10, abs=0.15)


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", H264), ("mkv", H264), ("avi", MJPEG), ("ts", H264)])
def test_a_later_piece_of_a_recording(tmp_path: Path, suffix: str, codec: tuple[str, ...]) -> None:
    make_video(tmp_path / f"piece%d.{suffix}", *codec, "-f", "segment", "-segment_time", "2")
    second = tmp_path / f"piece1.{suffix}"
    os.utime(second, (START.timestamp(), START.timestamp()))
    faults: list[Fault] = []
    times = [(frame.captured_at - START).total_seconds() for frame in VideoFile(second, on_fault=faults.append)]
    assert (len(times), faults) == (20, [])
    assert [times[0], times[-1]] == pytest.approx([-2.0, -0.1], abs=0.02)


@pytest.mark.parametrize(("suffix", "codec"), [("mp4", H264), ("mkv", H264), ("avi", MJPEG), ("ts", H264)])
def test_sound_that_is_longer_is_no_fault(tmp_path: Path, suffix: str, codec: tuple[str, ...]) -> None:
    path = tmp_path / f"a.{suffix}"
    run("-f", "lavfi", "-i", "testsrc2=s=160x120:r=10:d=2", "-f", "lavfi", "-i", "sine=d=6", *codec, str(path))
    times, told = watched(path)
    assert (len(times), times[0], told) == (20, 0.0, [])
    assert times[-1] == pytest.approx(1.9)


def test_a_variable_frame_rate_is_no_fault(tmp_path: Path) -> None:
    still = "select='not(between(t,1,2))'"
    times, told = watched(make_video(tmp_path / "a.mp4", "-vf", still, "-vsync", "vfr", *H264))
    assert told == []
    assert max(after - before for before, after in pairwise(times)) == pytest.approx(1.2)
    assert times[-1] == pytest.approx(3.9)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_missing_tail(tmp_path: Path, suffix: str) -> None:
    path = make_video(tmp_path / f"a.{suffix}", "-movflags", "faststart", *H264, noisy=True)
    times, told = watched(cut(path, 0.6))
    (fault,) = told
    assert missing_s(fault) == pytest.approx(4.0 - len(times) / 10, abs=0.11)


def test_an_mp4_whose_index_is_missing(tmp_path: Path) -> None:
    path = cut(make_video(tmp_path / "a.mp4", *H264), 0.6)
    with pytest.raises(CameraError, match=r"its index \(moov\) is missing"):
        VideoFile(path)


def test_a_turned_phone_comes_upright(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", *H264, seconds=0.5)
    run("-i", str(path), "-c", "copy", "-metadata:s:v", "rotate=90", str(tmp_path / "b.mp4"))
    assert next(iter(VideoFile(tmp_path / "b.mp4"))).image.shape == (160, 120, 3)


def test_the_containers_creation_time_goes_before_the_files_date(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", "-metadata", "creation_time=2024-05-01T12:00:00Z", *H264, seconds=0.5)
    made = datetime(2024, 5, 1, 12, tzinfo=UTC)
    assert next(iter(VideoFile(path))).captured_at == made
    assert next(iter(VideoFile(path, clock_offset=timedelta(hours=1)))).captured_at == made + timedelta(hours=1)
    assert next(iter(VideoFile(path, start=START))).captured_at == START


def test_behind_a_crash_the_rest_is_decoded(tmp_path: Path) -> None:
    path = make_video(tmp_path / "a.mp4", *H264, seconds=6)
    faults: list[Fault] = []
    times: list[float] = []
    camera = VideoFile(path, start=START, on_fault=faults.append)
    for frame in camera:
        times.append((frame.captured_at - START).total_seconds())
        if len(times) == 11:
            os.kill(camera._running[0]._process.pid, signal.SIGSEGV)
    assert times[-1] == pytest.approx(5.9)
    assert all(before < after for before, after in pairwise(times))
    (fault,) = faults
    assert "the decoder crashed (SIGSEGV)" in str(fault.error)
    assert missing_s(str(fault.error)) == pytest.approx(6.0 - len(times) / 10, abs=0.11)


def test_a_decoder_that_always_crashes_ends_with_a_fault(clip: Path) -> None:
    faults: list[Fault] = []
    camera = VideoFile(clip, on_fault=faults.append)
    seen = 0
    for _ in camera:
        seen += 1
        os.kill(camera._running[0]._process.pid, signal.SIGKILL)
    assert seen < FRAMES
    assert all("the decoder crashed (SIGKILL)" in str(fault.error) for fault in faults)
    assert faults


def test_closing_ends_the_process(clip: Path) -> None:
    camera = VideoFile(clip)
    process = camera._running[0]._process
    next(iter(camera))
    camera.close()
    assert process.poll() is not None
    assert list(camera) == []


@pytest.mark.parametrize("pixels", ["bgr24", "gray", "yuv420p", "bgra", "yuyv422"])
@pytest.mark.parametrize("size", ["1x1", "2x2", "17x33", "48x48", "49x47", "50x50", "64x48"])
@pytest.mark.slow
def test_raw_pixels_of_any_size(tmp_path: Path, pixels: str, size: str) -> None:
    path = tmp_path / "raw.avi"
    run("-f", "lavfi", "-i", f"testsrc=s={size}:r=10:d=1", "-c:v", "rawvideo", "-pix_fmt", pixels, str(path))
    times, told = watched(path)
    assert (len(times), told) == (10, [])


def test_a_small_raw_avi(tmp_path: Path) -> None:
    path = tmp_path / "raw.avi"
    run("-f", "lavfi", "-i", "testsrc=s=48x48:r=10:d=1", "-c:v", "rawvideo", "-pix_fmt", "bgr24", str(path))
    times, told = watched(path)
    assert (len(times), told) == (10, [])


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "ts"])
@pytest.mark.slow
def test_any_damage_gives_frames_in_order_or_an_error(tmp_path: Path, suffix: str) -> None:
    whole = make_video(tmp_path / f"a.{suffix}", *(MJPEG if suffix == "avi" else H264), seconds=1, noisy=True)
    chance = random.Random(suffix)
    content = whole.read_bytes()
    for _ in range(40):
        path = tmp_path / f"bad.{suffix}"
        path.write_bytes(mutated(content, chance))
        try:
            times, _ = watched(path)
        except CameraError:
            continue
        assert all(before < after for before, after in pairwise(times))


def test_what_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match=r"there is no video file .*nowhere\.mp4"):
        VideoFile(tmp_path / "nowhere.mp4")
    (tmp_path / "text.mp4").write_text("hello")
    with pytest.raises(
        CameraError, match=r"text\.mp4 cannot be opened: expected .* a video that FFmpeg reads; got 5 by"
    ):
        VideoFile(tmp_path / "text.mp4")


@pytest.mark.data
def test_real_footage(data_dir: Path) -> None:
    with VideoFile(data_dir / "video" / "road.avi") as camera:
        frames = list(camera)
    assert len(frames) == 374
    assert {frame.image.shape for frame in frames} == {(360, 640, 3)}
    length = frames[-1].captured_at - frames[0].captured_at
    assert length == pytest.approx(timedelta(seconds=373 / 30), abs=timedelta(milliseconds=5))
