"""A program on a disk that is truly full: a small tmpfs in a mount namespace of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_PREAMBLE = """
import os, sys
from pathlib import Path
folder = Path(sys.argv[1])
sys.path.insert(0, sys.argv[2])

def fill_up():
    with open(folder / "filler", "wb", buffering=0) as file:
        for size in (4096, 512, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass

def make_room():
    (folder / "filler").unlink()

def damage(path):
    content = path.read_bytes()
    assert b"CREATE INDEX" in content
    with path.open("r+b") as file:
        file.write(content.replace(b"CREATE INDEX", b"CREATE IMDEX"))
"""


def run_on_a_small_disk(folder: Path, script: str, *, megabytes: int = 2) -> None:
    """Run `script` with a small tmpfs mounted at `folder`; skip where the system does not allow that."""
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare (Linux)")
    mount = ["unshare", "--mount", "--map-root-user", "sh", "-c"]
    if subprocess.run([*mount, f"mount -t tmpfs -o size=64k tmpfs {folder}"], capture_output=True).returncode:
        pytest.skip("needs the right to mount a tmpfs in a namespace")
    command = f'mount -t tmpfs -o size={megabytes}m tmpfs {folder} && exec "$0" -W error -c "$1" {folder} "$2"'
    done = subprocess.run(
        [*mount, command, sys.executable, _PREAMBLE + script, str(Path(__file__).parent)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
