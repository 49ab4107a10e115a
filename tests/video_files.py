"""Video files for tests, made by ffmpeg."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest

H264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "10")
MJPEG = ("-c:v", "mjpeg", "-q:v", "5")


def make_video(path: Path, *arguments: str, fps: int = 10, seconds: float = 4, noisy: bool = False) -> Path:
    """ffmpeg's test picture, 160x120, with these arguments before the file's name; skips the test without ffmpeg."""
    noise = ("-vf", "noise=alls=20:allf=t") if noisy else ()
    run("-f", "lavfi", "-i", f"testsrc2=s=160x120:r={fps}:d={seconds}", *noise, *arguments, str(path))
    return path


def run(*arguments: str) -> None:
    """Run ffmpeg."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg")
    subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments], check=True, stdin=subprocess.DEVNULL)


def damage(path: Path, start: float, length: float, *, zeros: bool = False) -> Path:
    """Overwrite a part of a file, both given as fractions of its size."""
    data = bytearray(path.read_bytes())
    first, size = int(len(data) * start), int(len(data) * length)
    data[first : first + size] = bytes(size) if zeros else random.Random(1).randbytes(size)
    path.write_bytes(data)
    return path


def cut(path: Path, kept: float) -> Path:
    """Cut a file off."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    return path
