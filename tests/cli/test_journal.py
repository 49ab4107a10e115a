"""`edge-sdk journal`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from edge_sdk import EdgeClassifier, EventSettings, Frame, MotionGate, open_camera
from edge_sdk.cli import cli
from edge_sdk.terminal.command import run

BEGIN = datetime(2026, 11, 26, 8, tzinfo=UTC)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five frames, a minute apart; the newest has been answered first."""
    folder = tmp_path_factory.mktemp("state")
    with EdgeClassifier(state_dir=folder, threshold=0.0) as edge:
        for number in (4, 0, 1, 2, 3):
            captured_at = BEGIN + timedelta(minutes=number)
            edge.classify(Frame(np.zeros((48, 64, 3), np.uint8), captured_at, f"card [/b] {number}\n"))
    return folder


def numbers(text: str) -> list[int]:
    return [int(one) for one in re.findall(r"card \[/b\] (\d)\\n", text)]


def test_all_answers_oldest_first(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, "edge-sdk", ["journal", "--state", str(state)]) == 0
    text = capsys.readouterr().out
    assert numbers(text) == [0, 1, 2, 3, 4] and len(text.splitlines()) == 5
    assert text.startswith("2026-11-26 08:00:00  card [/b] 0")


def test_a_limit_keeps_the_newest_in_the_order_of_time(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, "edge-sdk", ["journal", "--state", str(state), "--limit", "2"]) == 0
    assert numbers(capsys.readouterr().out) == [3, 4]
    given = ["--limit", "2", "--until", "2026-11-26T08:03", "--json"]
    assert run(cli, "edge-sdk", ["journal", "--state", str(state), *given]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["answer"]["source"] for line in lines] == ["card [/b] 1\n", "card [/b] 2\n"]


def test_times_and_labels_choose(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    times = ["--since", "2026-11-26T08:01", "--until", "2026-11-26T08:03:00"]
    assert run(cli, "edge-sdk", ["journal", "--state", str(state), *times]) == 0
    assert numbers(capsys.readouterr().out) == [1, 2]
    assert run(cli, "edge-sdk", ["journal", "--state", str(state), "--label", "unicorn"]) == 0
    assert capsys.readouterr().out == ""


def test_it_says_where_it_looked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, "edge-sdk", ["journal", "--state", str(tmp_path)]) == 2
    assert f"no journal at {tmp_path}" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_reader_that_has_seen_enough(state: Path) -> None:
    command = f"{sys.executable} -P -m edge_sdk journal --state {state} | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1


def test_events_are_a_line_each(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, "edge-sdk", ["journal", "--state", str(state), "--events", "--limit", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and all(", 1 frame  event " in line for line in lines)
    assert run(cli, "edge-sdk", ["journal", "--state", str(state), "--events", "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(found) == 5 and all(one["ended"] and one["event"]["frames"] == 1 for one in found)


def test_one_event_is_told_by_its_frames(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    camera = open_camera("simulated://trailcam?seed=1&frames=110")
    with EdgeClassifier(
        state_dir=tmp_path, gate=MotionGate(), view="both", events=EventSettings(answer_per="event")
    ) as edge:
        for _ in edge.watch(camera):
            pass
    given = ["journal", "--state", str(tmp_path)]
    assert run(cli, "edge-sdk", [*given, "--events", "--limit", "1"]) == 0
    event = capsys.readouterr().out.split()[-1]
    assert run(cli, "edge-sdk", [*given, "--event", event, "--json"]) == 0
    told, *frames = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert told["event"]["event_id"] == event and told["event"]["frames"] == len(frames) > 1
    assert all(one["event"] == event for one in frames)
    assert run(cli, "edge-sdk", [*given, "--event", event]) == 0
    text = "".join(capsys.readouterr().out.split())  # a narrow terminal breaks lines
    assert event in text and all(one["answer"]["frame_id"] in text for one in frames)
    assert run(cli, "edge-sdk", ["journal", "--state", str(tmp_path), "--event", "none"]) == 2
    assert "expected the id of an event" in capsys.readouterr().err
    assert run(cli, "edge-sdk", [*given, "--event", event, "--events"]) == 2


def test_an_event_that_waits_for_the_cloud_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    camera = open_camera("simulated://trailcam?seed=1&frames=110")
    events = EventSettings(answer_per="event")
    with EdgeClassifier(
        state_dir=tmp_path, cloud="127.0.0.1:1", threshold=1.01, gate=MotionGate(), view="both", events=events
    ) as edge:
        for _ in edge.watch(camera):
            pass
    assert run(cli, "edge-sdk", ["journal", "--state", str(tmp_path), "--events", "--limit", "1"]) == 0
    event = capsys.readouterr().out.split()[-1]
    assert run(cli, "edge-sdk", ["journal", "--state", str(tmp_path), "--event", event]) == 0
    said = capsys.readouterr().out
    assert "waits" in said and "motion" in said
