from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from cloud_server.model.compile_trial import compiled_runs, measure
from cloud_server.model.compiled_model import CompiledModel
from cloud_server.model.sizing import Measured
from edge_sdk.errors import ConfigError

HANGS = "import sys, time; sys.stdout.write('{\"run_s\": 0.5}\\n' * %d); sys.stdout.flush(); time.sleep(600)"


def runs(program: str, limit_s: float = 60.0) -> tuple[list[Measured], list[str]]:
    told: list[str] = []
    command = (sys.executable, "-c", program)
    found = list(
        compiled_runs("m", "cpu", 2, 4, limit_s=limit_s, for_s=0.0, tell=told.append, command=command),
    )
    return found, told


def test_what_was_measured_is_told_as_it_comes() -> None:
    found, told = runs("print('{\"run_s\": 0.5}'); print('{\"run_s\": 0.75}'); print('{\"done\": true}')")
    assert found == [Measured(2, 1, 0.5, "compile"), Measured(2, 2, 0.75, "compile")]
    assert told[0] == "compile, 2 threads, 1 a run; at most 60 s to go"
    assert told[1].startswith("compile, 2 threads, 2 a run; about ")


def test_a_compiler_that_takes_too_long_is_ended_and_what_was_measured_counts() -> None:
    found, told = runs(HANGS % 1, limit_s=3.0)
    assert found == [Measured(2, 1, 0.5, "compile")] and "3 s are up" in told[-1]
    with pytest.raises(ConfigError, match="nothing was compiled within 1 s: --compile-limit takes more"):
        runs(HANGS % 0, limit_s=0.6)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ('print(\'{"error": "no compiler"}\')', "no compiler"),
        ("import os; os.kill(os.getpid(), 11)", "ended with code -11"),
        ("print('{\"run_s\": 0.5}')", "ended with code 0: no word"),
        ("import sys; sys.exit('out of memory')", "ended with code 1: out of memory"),
    ],
)
def test_what_cannot_be_compiled_is_told(program: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        runs(program)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_each_size_is_compiled_and_run(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ready: list[int] = []
    monkeypatch.setattr(CompiledModel, "make_ready", lambda self, most: ready.append(most))
    monkeypatch.setattr(CompiledModel, "run", lambda self, images, little: None)
    told: list[str] = []
    measure(str(checkpoint), "cpu", 1, 5, 0.0, told.append)
    assert ready == [1, 2, 4, 5] and all(json.loads(line)["run_s"] >= 0 for line in told[:-1])
    assert json.loads(told[-1]) == {"done": True}
    measure("no-such-network", "cpu", 1, 5, 0.0, told.append)
    assert "expected a shipped model" in json.loads(told[-1])["error"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_torch_s_own_compiler_is_measured(checkpoint: Path) -> None:
    (found,) = compiled_runs(str(checkpoint), "cpu", 1, 1, limit_s=800, for_s=0.0)
    assert (found.threads, found.batch, found.engine) == (1, 1, "compile") and found.run_s > 0
