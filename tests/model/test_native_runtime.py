from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_network import LABELS, MEAN, SPEC, STD, picture, programs

from edge_sdk._native import Program
from edge_sdk.errors import BundleError, ConfigError
from edge_sdk.model.native_runtime import NativeRuntime

PROGRAM = "last.pte"


def test_it_loads_what_the_compiled_module_runs() -> None:
    path = programs() / PROGRAM
    program = NativeRuntime().load(path, SPEC, 1)
    assert (program.width, program.height, program.outputs) == (SPEC.width, SPEC.height, len(LABELS))
    expected = Program(str(path), MEAN, STD, 1).forward(picture())
    np.testing.assert_array_equal(program.forward(picture()), expected)


def test_its_errors_are_the_sdks(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="threads: expected 1 to 64; got 0"):
        NativeRuntime().load(programs() / PROGRAM, SPEC, 0)
    (tmp_path / "broken.pte").write_bytes(b"no program" * 100)
    with pytest.raises(BundleError, match=r"broken\.pte: expected a program that the runtime can load; got: "):
        NativeRuntime().load(tmp_path / "broken.pte", SPEC, 1)
