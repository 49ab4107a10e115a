"""`edge-sdk doctor`, as a person runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from edge_sdk import EdgeClassifier, open_bundle
from edge_sdk.cli import cli
from edge_sdk.doctor.examination import CHECKS
from edge_sdk.doctor.finding import Level
from edge_sdk.terminal.command import run
from edge_sdk.testing import FakeCamera, ScriptedServer

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "reference" / "commands" / "doctor.md"


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    subject: str
    check: str
    level: Literal["ok", "note", "warning", "fault"]
    found: str
    do: str
    values: dict[str, Any]


class _Report(msgspec.Struct, forbid_unknown_fields=True):
    """The JSON of schema 1: programs may read it so."""

    schema: Literal[1]
    sdk: str
    at: datetime
    board: str
    ok: bool
    counts: dict[Literal["ok", "note", "warning", "fault"], int]
    findings: list[_Line]


def report(*arguments: str, **environment: str) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON of the command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "edge_sdk", "doctor", "--json", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    assert not done.stderr, done.stderr
    typed = msgspec.json.decode(done.stdout, type=_Report)
    assert sum(typed.counts.values()) == len(typed.findings) and typed.ok == (typed.counts["fault"] == 0)
    return done.returncode, json.loads(done.stdout)


def test_a_camera_a_model_and_a_budget(tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    code, found = report("simulated://trailcam?seed=1", "--state", state, "--upload-budget", "5MB/day")
    by_name = {one["check"]: one for one in found["findings"]}
    assert found["schema"] == 1 and code == (0 if found["ok"] else 1)
    for name in ("camera", "bundle", "speed", "upload-budget", "folder"):
        assert by_name[name]["level"] == "ok", by_name[name]
    assert by_name["server"]["level"] == "note"
    assert not (tmp_path / "state").exists()


def test_a_numpy_that_kills_every_process_leaves_a_whole_report(tmp_path: Path) -> None:
    """The doctor itself imports nothing compiled: what crashes is a line, and what does not is still looked at."""
    for name in ("numpy", "cv2", "grpc"):
        (tmp_path / f"{name}.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n")
    code, found = report(
        "/dev/video0", "--cloud", "127.0.0.1:1", "--state", str(tmp_path / "state"), PYTHONPATH=str(tmp_path)
    )
    by_name = {one["check"]: one for one in found["findings"]}
    assert code == 1 and set(by_name["packages"]["values"]["failed"]) >= {"numpy", "cv2", "grpc"}
    for name in ("camera", "bundle"):
        assert by_name[name]["level"] == "fault" and "SIGILL" in by_name[name]["found"]
    assert by_name["space"]["values"]["free_bytes"] > 0 and by_name["connection"]["level"] == "fault"


def test_each_of_several_servers_is_looked_at(tmp_path: Path) -> None:
    with ScriptedServer(labels=open_bundle("trailcam").manifest.labels) as second:
        code, told = report("--cloud", f"127.0.0.1:1,{second.target}", "--state", str(tmp_path))
    found = {line["check"]: line for line in told["findings"]}
    assert code == 1
    assert found["connection"]["level"] == "fault"
    assert (found["connection-2"]["level"], found["server-2"]["level"]) == ("ok", "ok")
    assert found["server-2"]["subject"] == f"server {second.target}"
    assert found["server-2"]["values"]["model"] == "scripted"
    assert "upload-budget-2" not in found


def test_it_prints_lines_and_ends_with_the_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, "edge-sdk", ["doctor", "/no/such/folder", "--state", str(tmp_path)]) == 1
    text = capsys.readouterr().out
    assert "  fault    camera " in text and "1 fault" in text.splitlines()[-1]


@pytest.mark.parametrize(
    "arguments", [["--cloud", "nowhere"], ["--cert", "c.pem"], ["--proxy", "p:1"], ["--watts", "-1"]]
)
def test_what_cannot_be_meant_is_an_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, "edge-sdk", ["doctor", *arguments]) == 2
    assert "expected" in capsys.readouterr().err or arguments[0] == "--watts"


def test_the_page_has_every_check_level_and_value(tmp_path: Path) -> None:
    text = PAGE.read_text()
    rows = {line.split("`")[1]: line.rpartition(" | ")[2] for line in text.splitlines() if line.startswith("| `")}
    with ScriptedServer(labels=open_bundle("trailcam").manifest.labels) as server:
        state = str(tmp_path / "state")
        with EdgeClassifier("trailcam", state_dir=state, threshold=1.0, cloud="127.0.0.1:1") as edge:
            edge.classify(next(iter(FakeCamera(1))))
        budgets = ("--upload-budget", "5MB/day", "--compute-budget", "2GMAC/s", "--cloud-budget", "10TMAC/day")
        _, found = report("simulated://trailcam", "--cloud", server.target, "--state", state, *budgets)
    names = {one["check"] for one in found["findings"]}
    assert names >= {"server", "labels", "packets", "cloud-budget", "store"}
    for one in found["findings"]:
        for value in one["values"]:
            assert f"`{value}`" in rows[one["check"]], (one["check"], value)
    for check in CHECKS:
        assert f"| `{check.name}` | {check.subject} |" in text, check.name
    for level in Level:
        assert f"`{level.value}`" in text
