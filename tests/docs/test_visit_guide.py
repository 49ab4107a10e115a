"""The guide "follow one visit": its commands run in their order, and print what the page shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
GUIDE = (ROOT / "docs" / "guides" / "follow-one-visit.md").read_text()
BLOCK = re.compile(r"^```(sh|text|python)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
CLOUD = "127.0.0.1:50051"
EVENT = "01a2200b72367b0c995bd1bf5f4184c6"  # of the run that is shown
CHANGES = [  # from run to run: ids, bytes on the wire, the state of queue and link, times of the server
    (r"[0-9a-f]{32}", "ID"),
    (r"\d+(\.\d+)? (bytes|k?B)", "SIZE"),
    (r'"file": "\d{4}-\d\d-\d\d/', '"file": "DAY/'),
    (r'"version": "[0-9a-f]{16}"', '"version": "V"'),
    (r'"received_at": "[^"]+"', '"received_at": "T"'),
    (r"SIZE of 5.0 MB/day +│", "SIZE of 5.0 MB/day │"),
    (r"^(2026.*\))  exits .*", r"\1"),  # figures of the run so far depend on how fast the server answers
]


def steady(line: str) -> str:
    """A line without what changes from run to run."""
    for pattern, word in CHANGES:
        line = re.sub(pattern, word, line)
    return " ".join(line.split())


def programs(folder: Path) -> Path:
    """A folder with the commands of the guide, run by this interpreter on this checkout."""
    folder.mkdir()
    called = {
        "edge-sdk": "-c 'from edge_sdk.cli import main; main()'",
        "cloud-server": "-c 'from cloud_server.cli import main; main()'",
        "python": "",
    }
    for name, start in called.items():
        (folder / name).write_text(f'#!/bin/sh\nexec {sys.executable} {start} "$@"\n')
        (folder / name).chmod(0o755)
    return folder


def ran(command: str, folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}{done.stderr}"
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_commands_print_what_the_page_shows(tmp_path: Path) -> None:
    path = f"{programs(tmp_path / 'bin')}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "80"}
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (_, serve), *blocks = BLOCK.findall(GUIDE)
    server = subprocess.Popen(
        ["bash", "-c", f"exec {serve.strip()} --port 0"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        address = next(line for line in server.stdout if line.startswith("listening on")).split()[2]
        event, printed = EVENT, ""
        for kind, text in blocks:
            if kind == "sh":
                printed = ran(text.replace(CLOUD, address).replace(EVENT, event), tmp_path, environment)
                if found := re.search(r"bird .* \(cloud\).* ([0-9a-f]{32})$", printed, re.MULTILINE):
                    event = found[1]
            elif kind == "python":
                (tmp_path / "looks.py").write_text(text)
                printed = ran("python looks.py", tmp_path, environment)
            else:
                lines = [steady(line) for line in printed.splitlines()]
                for line in text.splitlines():
                    assert line == "..." or steady(line) in lines, f"{line}\n\nis not in\n\n{printed}"
    finally:
        server.terminate()
        server.communicate()
    page = (tmp_path / "out" / "events.html").read_text()
    assert f'id="{event}"' in page
