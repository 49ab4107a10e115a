"""The executorch package, in a process of its own: it loads torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_network import MEAN, STD, picture, programs

from edge_sdk._native import Program

pytest.importorskip("executorch", reason='no executorch: pip install ".[runtime]" brings it')

CODE = """
import sys, warnings
warnings.simplefilter("ignore")
from pathlib import Path
import numpy as np
from tiny_network import SPEC, picture
from edge_sdk.errors import BundleError, ConfigError
from edge_sdk.model.executorch_runtime import ExecutorchRuntime

runtime, path = ExecutorchRuntime(), Path(sys.argv[1])
program = runtime.load(path, SPEC, 1)
print(program.width, program.height, program.outputs)
print(program.forward(picture()).tolist())
for error, bad, threads in ((ConfigError, path, 0), (BundleError, path.with_name("no_forward.pte"), 1)):
    try:
        runtime.load(bad, SPEC, threads)
    except error as refused:
        print(refused)
"""


def test_it_computes_what_the_compiled_runtime_computes() -> None:
    path = programs() / "last.pte"
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(path)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).resolve().parents[1],
    )
    assert done.returncode == 0, done.stderr
    size, logits, threads, method = done.stdout.splitlines()
    assert size == "40 24 3"
    np.testing.assert_allclose(eval(logits), Program(str(path), MEAN, STD, 1).forward(picture()), atol=0.05)
    assert threads == "threads: expected 1 or more; got 0"
    assert "no_forward.pte: expected a program that the runtime can load; got: " in method
