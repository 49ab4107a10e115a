"""The device's wheel on emulated Raspberry Pis answers bit by bit as this machine does (the whole: scripts/boards)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
WHEELS = Path(os.environ.get("EDGE_SDK_WHEELS", ROOT / "build" / "wheels" / "dist"))


@pytest.mark.timeout(1500)
def test_debian_12_on_emulated_boards() -> None:
    lacking = [one for one in ("mmdebstrap", "qemu-aarch64-static", "unshare") if shutil.which(one) is None]
    if lacking:
        pytest.skip(f"without {', '.join(lacking)}; Debian: sudo apt install mmdebstrap qemu-user-static util-linux")
    if os.geteuid() != 0:
        pytest.skip("not root: /proc and /sys are mounted into the board's root")
    if not list(WHEELS.glob("*+device-cp311-*_aarch64.whl")):
        pytest.skip(f"no device's wheel for aarch64 in {WHEELS}: scripts/wheels --machine aarch64 builds it")
    command = [sys.executable, str(ROOT / "scripts" / "boards"), "--root", "bookworm", "--wheels", str(WHEELS)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 2 and "could not make a root" in done.stderr:
        pytest.skip(f"Debian's packages cannot be had: {done.stderr.strip()}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("4 of 4 pictures answered bit by bit as here") == 3
    assert "-cpu max: refused by the golden picture" in done.stdout
    assert done.stdout.count("frames in its journal") == 2
