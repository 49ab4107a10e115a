from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from stream_servers import MjpegHandler, RtspHandler, serving

from edge_sdk.camera.base import Fault
from edge_sdk.camera.live import Backoff, LiveCamera
from edge_sdk.camera.video import StreamGrabber, VideoFile, open_stream
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
    assert f"expected 40 frames; the video can be read up to frame {len(seen)}" in str(fault.error)


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


def test_mjpeg_over_http() -> None:
    with serving(MjpegHandler) as server, open_stream(f"http://me:secret@127.0.0.1:{server.port}/x") as camera:
        frames = list(islice(camera, 3))
    assert {frame.source for frame in frames} == {f"http://127.0.0.1:{server.port}/x"}
    assert {frame.image.shape for frame in frames} == {(48, 64, 3)}
    assert all(before.captured_at < after.captured_at for before, after in pairwise(frames))
    assert abs(int(frames[0].image.mean()) - 20) <= 2


def test_rtsp_comes_back_after_the_camera_hung_up() -> None:
    faults: list[Fault] = []
    with serving(RtspHandler, per_connection=30) as server:
        url = f"rtsp://127.0.0.1:{server.port}/live"
        with LiveCamera(
            url, lambda: StreamGrabber(url, read_timeout_s=2), on_fault=faults.append, backoff=Backoff(0.0, 0.0)
        ) as camera:
            for frame in camera:
                if frame.image.mean() > 30:  # a later connection's picture
                    break
            assert camera.reconnects >= 1
    assert frame.image.shape == (48, 64, 3)
    assert f"the stream {url} ended or is silent" in str(faults[0].error)


def test_a_stream_that_is_not_there() -> None:
    with serving(MjpegHandler) as server:
        port = server.port
    with pytest.raises(CameraError, match=f"no video stream at rtsp://127.0.0.1:{port}/x: is the address right"):
        open_stream(f"rtsp://me:secret@127.0.0.1:{port}/x")
