"""`cloud-server bench`, run on a small network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from cloud_server import bench_command
from cloud_server import cli as command
from cloud_server.model import compile_trial, trial
from cloud_server.model.sizing import Measured
from edge_sdk.errors import ConfigError


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_command, "RUNS_S", 0.0)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)


@pytest.fixture(autouse=True)
def compiler(monkeypatch: pytest.MonkeyPatch) -> list[Measured]:
    """What torch.compile is found to take; no compiler runs."""
    runs: list[Measured] = []

    def compiled_runs(model: str, device: str, threads: int, most: int, **others: Any) -> Iterator[Measured]:
        if not runs:
            raise ConfigError("there is no compiler")
        yield from runs

    monkeypatch.setattr(compile_trial, "compiled_runs", compiled_runs)
    return runs


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
    assert "without torch.compile: there is no compiler" in result.output
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


def test_what_compiling_wins_is_said_with_what_it_costs(checkpoint: Path, compiler: list[Measured]) -> None:
    compiler.append(Measured(1, 2, 1e-9, "compile"))
    arguments = ["bench", "--model", str(checkpoint), "--device", "cpu", "--max-batch", "2"]
    result = CliRunner().invoke(command.main, arguments)
    assert re.search(r"^cloud-server .* --engine compile --threads 1 --max-batch 2 ", result.output, re.MULTILINE)
    assert "it compiles at each start" in result.output
    result = CliRunner().invoke(command.main, [*arguments, "--compile-limit", "0s"])
    assert result.exit_code == 0 and "compile" not in result.output


def test_batches_that_the_server_would_not_run_are_not_tried(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([0.001, *[0.1, 0.15, 0.3, 0.1, 0.41] * 4])
    monkeypatch.setattr(trial, "least_s", lambda run, for_s: next(seconds))
    result = CliRunner().invoke(command.main, ["bench", "--model", str(checkpoint), "--device", "cpu"])
    assert "torch, 1 threads, 4 a run" in result.output and "torch, 1 threads, 8 a run" not in result.output
    assert "--max-batch 32" not in result.output
