"""Which runtime a little model gets."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_network import write_tiny_bundle

from edge_sdk.errors import BundleError
from edge_sdk.model.bundle import InputSpec
from edge_sdk.model.default_runtime import default_runtime
from edge_sdk.model.little import LittleModel
from edge_sdk.model.native_runtime import NativeRuntime
from edge_sdk.model.runtime import Program, Runtime


class Blind:
    """A runtime that loads nothing."""

    name = "blind"
    format = "executorch"

    def load(self, path: Path, spec: InputSpec, threads: int) -> Program:
        raise BundleError(f"{path.name}: expected something else ({spec.width}x{spec.height}, {threads})")


def test_executorchs_compiled_runtime_is_the_default(tmp_path: Path) -> None:
    runtime: Runtime = default_runtime()
    assert isinstance(runtime, NativeRuntime)
    with LittleModel(write_tiny_bundle(tmp_path / "tiny")) as model:
        assert model.runtime == "native"


def test_a_named_one_is_used_and_its_errors_are_told(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"model\.pte: expected something else \(40x24, 2\)"):
        LittleModel(write_tiny_bundle(tmp_path / "tiny"), runtime=Blind(), threads=2)
