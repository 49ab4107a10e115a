from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice, pairwise

import pytest
from stream_servers import MjpegHandler, RtspHandler, serving

from edge_sdk.camera.base import Fault
from edge_sdk.camera.live import Backoff, LiveCamera
from edge_sdk.camera.stream import Lateness, StreamGrabber, open_stream
from edge_sdk.errors import CameraError


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
    assert f"the stream {url} " in str(faults[0].error)


def test_a_stream_that_is_not_there() -> None:
    with serving(MjpegHandler) as server:
        port = server.port
    with pytest.raises(CameraError, match=f"no video stream at rtsp://127.0.0.1:{port}/x: is the address right"):
        open_stream(f"rtsp://me:secret@127.0.0.1:{port}/x")


@contextmanager
def silent_server(said: bytes = b"") -> Iterator[int]:
    """A server that takes connections, says this much, and then nothing; its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[socket.socket] = []

        def take() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                connection.sendall(said)
                taken.append(connection)

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        for connection in taken:
            connection.close()
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize("said", [b"", b"RTSP/1.0 200 OK\r\n"])
def test_a_server_that_says_nothing_is_given_up(said: bytes) -> None:
    with silent_server(said) as port, pytest.raises(CameraError, match="no video stream at"):
        StreamGrabber(f"rtsp://127.0.0.1:{port}/x", open_timeout_s=0.3)


def test_pictures_that_the_decoder_held_through_a_silence_are_not_handed_out() -> None:
    now_s = [0.0]
    with serving(RtspHandler) as server:
        grabber = StreamGrabber(f"rtsp://127.0.0.1:{server.port}/x", read_timeout_s=10, clock=lambda: now_s[0])
        grabber.read()
        grabber._clock = lambda: now_s.append(now_s[-1] + 10) or now_s[-1]  # type: ignore[func-returns-value]
        with pytest.raises(CameraError, match="is silent: no picture came within 10 s"):
            grabber.read()
        grabber.close()


def test_what_was_held_up_on_its_way_is_as_old_as_it_is() -> None:
    lateness = Lateness()
    assert [lateness.of(step / 10, 100 + step / 10) for step in range(3)] == [0, 0, 0]
    # 5 s of silence, then what was taken meanwhile, in a burst, then what is taken now.
    assert lateness.of(0.3, 105.3) == pytest.approx(5.0)
    assert [round(lateness.of(0.3 + step, 105.3 + step / 100), 1) for step in range(1, 6)] == [4.0, 3.0, 2.0, 1.0, 0.0]
    assert lateness.of(5.4, 105.45) == 0


def test_a_stream_that_leaves_out_what_it_could_not_send_is_not_late() -> None:
    lateness = Lateness()
    lateness.of(1.0, 100.0)
    assert lateness.of(6.0, 105.0) == 0


def test_a_stream_that_counts_at_a_nominal_rate_never_becomes_late() -> None:
    lateness = Lateness()
    assert {lateness.of(step / 25, 100 + step / 15) for step in range(1000)} == {0}
    lateness.of(40.1, 200.0)  # after a stall it counts as late for a while only
    assert lateness.of(40.2, 216.0) == 0


def test_a_stream_whose_clock_begins_again_is_not_late() -> None:
    lateness = Lateness()
    lateness.of(1000.0, 100.0)
    assert lateness.of(0.1, 110.0) == 0


def test_nothing_of_ffmpeg_reaches_the_terminal() -> None:
    program = (
        "import sys; from edge_sdk import open_camera\n"
        "try: open_camera(sys.argv[1])\n"
        "except Exception as error: print(error)"
    )
    with serving(MjpegHandler) as server:  # speaks HTTP: an error for RTSP
        url = f"rtsp://me:cret@127.0.0.1:{server.port}/x"
        done = subprocess.run([sys.executable, "-c", program, url], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "no video stream at" in done.stdout and "cret" not in done.stdout
