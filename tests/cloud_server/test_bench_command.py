"""`cloud-server bench`, run on a small network."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from cloud_server import bench_command
from cloud_server import cli as command


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_command, "RUNS_S", 0.0)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)


def test_it_says_what_to_set_and_what_that_would_serve(checkpoint: Path) -> None:
    result = CliRunner().invoke(
        command.main, ["bench", "--model", str(checkpoint), "--device", "cpu", "--max-batch", "4"]
    )
    assert result.exit_code == 0, result.output
    assert "<- best" in result.output and "s to go" in result.output
    (settings,) = re.findall(r"^cloud-server --model (.*)$", result.output, re.MULTILINE)
    options = settings.removeprefix(str(checkpoint)).split()
    names = [name for name in options[::2] if name != "--engine"]
    assert options[:2] == ["--device", "cpu"] and names[1:] == ["--threads", "--max-batch", "--decoders"]
    assert {"torch", "openvino"} <= set(re.findall(r"\w+", result.output)), "both engines are tried"
    assert re.search(r"would serve about \d+ frames a second", result.output)
    parsed = command.main.make_context("cloud-server", ["--model", str(checkpoint), *options], resilient_parsing=True)
    assert parsed.params["max_batch"] <= 4


def test_a_goal_that_cannot_be_reached_is_told(checkpoint: Path) -> None:
    result = CliRunner().invoke(
        command.main, ["bench", "--model", str(checkpoint), "--max-batch", "1", "--latency-goal", "0.001ms"]
    )
    assert result.exit_code == 2 and "expected a latency of at most 0.001 ms" in result.output


@pytest.mark.parametrize("text", ["50", "0ms", "fast", "-1s"])
def test_a_goal_that_is_no_time_is_explained(text: str) -> None:
    result = CliRunner().invoke(command.main, ["bench", "--latency-goal", text])
    assert "expected a time such as 50ms" in result.output + str(result.exception)
