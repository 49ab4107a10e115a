"""A real RTSP server of GStreamer's, in H.264, H.265 and MJPEG, that goes away and comes back."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge_sdk.camera import open_camera
from edge_sdk.camera.base import Fault
from edge_sdk.camera.live import Backoff, LiveCamera
from edge_sdk.camera.stream import StreamGrabber
from edge_sdk.types import Frame

SERVER = Path(__file__).parent.parent / "gst_rtsp_server.py"
PYTHON = "/usr/bin/python3"
NEEDS = (
    "import sys, gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import Gst, GstRtspServer; "
    "Gst.init(None); assert all(map(Gst.ElementFactory.find, sys.argv[1:]))"
)


def has_server(*elements: str) -> bool:
    command = [PYTHON, "-c", NEEDS, *elements]
    return Path(PYTHON).exists() and subprocess.run(command, capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(
    not has_server("x264enc", "rtph264pay", "jpegenc", "rtpjpegpay", "videoconvert"),
    reason="needs GStreamer's RTSP server: sudo apt install python3-gi gir1.2-gst-rtsp-server-1.0 "
    "gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly",
)
H265 = pytest.param(
    "h265",
    marks=pytest.mark.skipif(
        not has_server("x265enc", "rtph265pay"), reason="needs sudo apt install gstreamer1.0-plugins-bad"
    ),
)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@contextmanager
def serving(port: int, pattern: str = "white", codec: str = "h264") -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [PYTHON, str(SERVER), str(port), pattern, codec], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            assert server.stdout is not None and server.stdout.readline() == "ready\n"
            yield server
        finally:
            server.kill()


@pytest.mark.parametrize("codec", ["h264", "mjpeg", H265])
def test_its_pictures_come_in_rgb_and_in_order(codec: str) -> None:
    port = free_port()
    with serving(port, "red", codec), open_camera(f"rtsp://me:secret@127.0.0.1:{port}/cam") as camera:
        frames: list[Frame] = []
        for frame in camera:
            frames.append(frame)
            if len(frames) == 3:
                break
    assert {frame.size for frame in frames} == {(320, 240)}
    assert {frame.source for frame in frames} == {f"rtsp://127.0.0.1:{port}/cam"}
    red, green, blue = frames[-1].image.mean((0, 1))
    assert red > 200 and green < 60 and blue < 60
    assert frames[0].captured_at < frames[1].captured_at < frames[2].captured_at


@pytest.mark.parametrize("codec", ["h264", "mjpeg"])
def test_a_server_that_is_killed_and_comes_back_is_found_again(codec: str) -> None:
    port, faults, failed = free_port(), list[Fault](), threading.Event()
    url = f"rtsp://127.0.0.1:{port}/cam"

    def note(fault: Fault) -> None:
        faults.append(fault)
        failed.set()

    with serving(port, codec=codec) as first:
        camera = LiveCamera(
            url,
            lambda: StreamGrabber(url, open_timeout_s=60, read_timeout_s=2),
            on_fault=note,
            backoff=Backoff(0.05, 0.2),
            frozen_s=None,
        )
        frames = iter(camera)
        assert next(frames).image.mean() > 200
        first.kill()
        assert failed.wait(120)
    with serving(port, "black", codec), camera:
        for frame in frames:
            if frame.image.mean() < 60:
                break
        assert camera.reconnects >= 1
    assert any("ended or is silent" in str(fault.error) for fault in faults)


def test_a_server_that_stops_in_the_middle_is_silent_and_then_found_again() -> None:
    port, failed = free_port(), threading.Event()
    url = f"rtsp://127.0.0.1:{port}/cam"

    with (
        serving(port) as server,
        LiveCamera(
            url,
            lambda: StreamGrabber(url, open_timeout_s=60, read_timeout_s=1),
            on_fault=lambda fault: failed.set(),
            backoff=Backoff(0.05, 0.2),
            frozen_s=None,
        ) as camera,
    ):
        frames = iter(camera)
        next(frames)
        server.send_signal(signal.SIGSTOP)
        assert failed.wait(120)
        server.send_signal(signal.SIGCONT)
        while camera.reconnects < 1:
            next(frames)
        assert next(frames).image.mean() > 200
