from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from video_files import MJPEG, make_video

from edge_sdk.camera.video_worker import MESSAGE, ORDER

START = "import sys; from edge_sdk.camera.video_worker import main; main(sys.argv[1], 'avi', 10**6, int(sys.argv[2]))"


def started(path: Path) -> subprocess.Popen[bytes]:
    memory = os.memfd_create("pictures")
    try:
        return subprocess.Popen(
            [sys.executable, "-c", START, str(path), str(memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=[memory],
        )
    finally:
        os.close(memory)


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs Linux")
def test_it_decodes_no_further_than_there_is_room_and_ends_with_its_reader(tmp_path: Path) -> None:
    with started(make_video(tmp_path / "a.avi", *MJPEG)) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        kind, length_s, fps, *_ = MESSAGE.unpack(process.stdout.read(MESSAGE.size))
        assert (kind, length_s, fps) == (b"I", pytest.approx(4.0), 10.0)
        process.stdin.write(ORDER.pack(-1.0, 0.0))
        process.stdin.flush()
        for position_s in (0.0, 0.1):
            told = MESSAGE.unpack(process.stdout.read(MESSAGE.size))
            assert told[:2] == (b"F", pytest.approx(position_s))
            assert told[5:] == (160, 120)
        process.stdin.close()
        assert process.wait() == 0


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs Linux")
def test_what_is_no_video_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.avi").write_bytes(b"no video")
    with started(tmp_path / "a.avi") as process:
        said, _ = process.communicate()
    assert MESSAGE.unpack(said)[0] == b"N"
