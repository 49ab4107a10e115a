"""The service of a device under a real systemd, booted in a container over the machine's own files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BOOT = """\
set -e
mount -t tmpfs tmpfs {work}/over
mkdir {work}/over/upper {work}/over/work {work}/over/root
mount -t overlay overlay -o lowerdir=/,upperdir={work}/over/upper,workdir={work}/over/work {work}/over/root
exec systemd-nspawn -q -D {work}/over/root -M edge-sdk-test --register=no --keep-unit --console=pipe \\
    --bind={work}/out --bind-ro={work}/try.service:/etc/systemd/system/try.service --boot -- --unit=try.service
"""
UNIT = """\
[Unit]
DefaultDependencies=no
After=basic.target
Requires=basic.target
[Service]
Type=oneshot
ExecStart={python} {inside} {out}
ExecStopPost=/bin/systemctl poweroff --force
StandardOutput=file:{work}/out/log
StandardError=inherit
TimeoutStartSec=200
"""


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("systemd-nspawn") is None, reason="needs root and systemd-nspawn")
def test_a_device_under_a_real_systemd(tmp_path: Path) -> None:
    for name in ("over", "out"):
        (tmp_path / name).mkdir()
    inside = Path(__file__).with_name("inside.py")
    out = tmp_path / "out" / "found.json"
    (tmp_path / "try.service").write_text(UNIT.format(python=sys.executable, inside=inside, out=out, work=tmp_path))
    (tmp_path / "boot").write_text(BOOT.format(work=tmp_path))
    command = ["unshare", "--mount", "--propagation", "private", "sh", str(tmp_path / "boot")]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if not out.exists() and "cgroup" in done.stderr:
        pytest.skip(f"no container can be booted here: {done.stderr.splitlines()[-1]}")
    log = tmp_path / "out" / "log"
    assert out.exists(), done.stdout[-2000:] + done.stderr[-2000:] + (log.read_text() if log.exists() else "")
    found = json.loads(out.read_text())
    assert "error" not in found, found
    assert "wrote /etc/systemd/system/edge-sdk.service" in found["install"]
    assert found["running"]["ActiveState"] == "active" and found["running"]["User"] == "edge-sdk"
    assert found["owner"] == ["edge-sdk", "700"] * 2
    assert found["privileges"] == ["CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"]
    assert found["running"]["MainPID"] == found["reloaded"]["MainPID"]
    assert "the config file was read again: changed: budgets.upload" in found["log"]
    assert "budgets 0% spent" in found["again"]["StatusText"]
    assert found["stopped"]["Result"] == "success" and found["stopped"]["ExecMainStatus"] == "0"
    assert found["faulty"]["ExecMainStatus"] == "78" and found["faulty"]["SubState"] == "failed"
    assert "camera.fsp: there is no such key; did you mean camera.fps?" in found["log"]
    assert "asked to end (SIGTERM)" in found["log"]
    assert found["server"]["ActiveState"] == "active" and found["server"]["User"] == "cloud-server"
    assert found["server"]["StatusText"].startswith("listening on 127.0.0.1:50051")
    assert found["server stopped"]["Result"] == "success" and found["server stopped"]["ExecMainStatus"] == "0"
