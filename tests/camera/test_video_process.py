from __future__ import annotations

import os
import signal
import sys
from itertools import islice
from pathlib import Path

import pytest
from video_files import H264, make_video, run

from edge_sdk.camera.container import Container, read_container
from edge_sdk.camera.video_process import DecoderDied, End, Picture, VideoProcess
from edge_sdk.errors import CameraError


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_video(tmp_path / "clip.mp4", *H264)


def opened(path: Path, silent_s: float = 30.0) -> VideoProcess:
    return VideoProcess(path, read_container(path), silent_s=silent_s)


def pid(process: VideoProcess) -> int:
    return process._process.pid


def test_pictures_then_the_end(clip: Path) -> None:
    process = opened(clip)
    assert process.length_s == pytest.approx(4.0)
    *pictures, end = process.read(interval_s=1.0)
    assert isinstance(end, End)
    assert end.position_s == pytest.approx(4.0)
    assert end.lost_s == 0.0
    shown = [picture for picture in pictures if isinstance(picture, Picture)]
    assert [round(picture.position_s, 2) for picture in shown] == [0.0, 1.0, 2.0, 3.0]
    assert {picture.image.shape for picture in shown} == {(120, 160, 3)}
    process.close()
    process.close()


def test_reading_starts_behind_a_position(clip: Path) -> None:
    process = opened(clip)
    first = next(process.read(behind_s=2.0))
    assert isinstance(first, Picture)
    assert 2.0 < first.position_s <= 2.21
    assert first.lost_s == pytest.approx(first.position_s - 2.1, abs=0.02)
    process.close()


@pytest.mark.parametrize("kind", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_a_decoder_that_crashes_is_an_exception(clip: Path, kind: signal.Signals) -> None:
    process = opened(clip)
    events = process.read()
    next(events)
    os.kill(pid(process), kind)
    with pytest.raises(DecoderDied, match=rf"the decoder crashed \({kind.name}\)"):
        list(events)


def test_a_decoder_that_hangs_is_an_exception(clip: Path) -> None:
    process = opened(clip)
    events = process.read()
    next(events)
    process._silent_s = 0.2
    os.kill(pid(process), signal.SIGSTOP)
    with pytest.raises(DecoderDied, match="the decoder hung: it said nothing for"):
        list(events)


def test_no_process_is_left(clip: Path) -> None:
    process = opened(clip)
    list(islice(process.read(), 2))
    number = pid(process)
    del process
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


def test_files_of_the_working_folder_are_no_modules(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    process = opened(clip)
    assert isinstance(next(iter(process.read(interval_s=1.0))), Picture)
    process.close()


def test_nothing_is_written_to_the_terminal(clip: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(clip.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 2000] = os.urandom(2000)
    clip.write_bytes(data)
    list(opened(clip).read())
    with pytest.raises(CameraError, match="cannot be opened"):
        clip.write_bytes(b"no video")
        opened(clip)
    assert capfd.readouterr() == ("", "")


def test_frames_beyond_the_limit_are_refused(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_sdk.camera.video_process.MAX_PIXELS", 1000)
    with pytest.raises(CameraError, match="megapixels; got 160x120"):
        opened(clip)


def test_a_playlist_opens_no_network(tmp_path: Path) -> None:
    path = tmp_path / "list.mp4"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(CameraError, match="cannot be opened"):
        VideoProcess(path, Container())


def test_a_program_that_cannot_be_started(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(CameraError, match=r"clip\.mp4 cannot be decoded: No such file"):
        opened(clip)


def test_frames_whose_size_changes(tmp_path: Path) -> None:
    for number, size in enumerate(("160x120", "320x240", "64x48")):
        source = f"testsrc2=s={size}:r=10:d=0.5"
        run("-f", "lavfi", "-i", source, *H264, "-f", "mpegts", str(tmp_path / f"{number}.ts"))
    path = tmp_path / "all.ts"
    path.write_bytes(b"".join((tmp_path / f"{number}.ts").read_bytes() for number in range(3)))
    shapes = [event.image.shape for event in opened(path).read() if isinstance(event, Picture)]
    assert len(shapes) >= 10  # OpenCV brings all to the first size
