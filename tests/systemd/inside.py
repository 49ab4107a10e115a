"""What happens to the services of a device and of a server under a real systemd.

Runs as root in a container of the machine's own files.

    python inside.py OUT

OUT gets JSON: what was found, by step.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

CONFIG = Path("/etc/edge-sdk/edge-sdk.toml")
GOOD = "[camera]\naddress = 'simulated://trailcam?seed=1'\nfps = 5\n"
DROP_IN = "[Service]\nRestartSec=1\nWatchdogSec=4\nTimeoutAbortSec=2\n"


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def shown(*names: str, unit: str = "edge-sdk") -> dict[str, str]:
    said = run("systemctl", "show", unit, *(f"--property={name}" for name in names))
    return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)


def until(name: str, wanted: str, unit: str = "edge-sdk") -> dict[str, str]:
    """Wait until a property of the unit is as wanted; the state then."""
    for _ in range(600):
        state = shown(
            *("ActiveState", "SubState", "MainPID", "NRestarts", "Result", "ExecMainStatus", "StatusText", "User"),
            unit=unit,
        )
        if state[name].startswith(wanted):
            return state
        time.sleep(0.1)
    raise TimeoutError(f"{name} never became {wanted}: {state}\n{run('journalctl', '-u', unit, '-n', '30')}")


def main() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for folder in Path(os.path.realpath(sys.executable)).parents:  # the container's copy alone
        if folder.stat().st_mode & 0o111 != 0o111:
            folder.chmod(folder.stat().st_mode | 0o111)
    found["systemd"] = run("systemctl", "--version").splitlines()[0]
    found["install"] = run(sys.executable, "-m", "edge_sdk", "install-service")
    CONFIG.write_text(GOOD)
    drop_in = Path("/etc/systemd/system/edge-sdk.service.d/quick.conf")
    drop_in.parent.mkdir()
    drop_in.write_text(DROP_IN)
    run("systemctl", "daemon-reload")
    start = time.monotonic()
    found["start"] = run("systemctl", "start", "edge-sdk")
    found["start_s"] = time.monotonic() - start
    found["running"] = state = until("StatusText", "watching; ")
    pid = int(state["MainPID"])
    found["owner"] = run("stat", "-c", "%U %a", "/var/lib/edge-sdk", "/var/lib/edge-sdk/trailcam").split()
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    found["privileges"] = [line for line in status if line.startswith(("NoNewPrivs", "CapEff", "Seccomp:"))]
    CONFIG.write_text(f"{GOOD}[budgets]\nupload = '1MB/day'\n")
    run("systemctl", "reload", "edge-sdk")
    found["reloaded"] = until("StatusText", "watching; ")
    os.kill(pid, signal.SIGSTOP)  # it hangs: no sign of life
    found["hung"] = until("NRestarts", "1")
    found["again"] = until("StatusText", "watching; ")
    os.kill(int(shown("MainPID")["MainPID"]), signal.SIGKILL)
    found["killed"] = until("NRestarts", "2")
    until("StatusText", "watching; ")
    run("systemctl", "stop", "edge-sdk")
    found["stopped"] = until("ActiveState", "inactive")
    CONFIG.write_text("[camera]\nfsp = 3\n")
    run("systemctl", "start", "edge-sdk")
    found["faulty"] = until("ActiveState", "failed")
    found["log"] = run("journalctl", "-u", "edge-sdk", "-o", "cat")
    run(sys.executable, "-m", "cloud_server", "install-service")
    found["server start"] = run("systemctl", "start", "cloud-server")
    found["server"] = until("StatusText", "listening on", "cloud-server")
    run("systemctl", "stop", "cloud-server")
    found["server stopped"] = until("ActiveState", "inactive", "cloud-server")
    return found


if __name__ == "__main__":
    out = Path(sys.argv[1])
    try:
        out.write_text(json.dumps(main()))
    except BaseException as error:
        out.write_text(json.dumps({"error": repr(error)}))
        raise
