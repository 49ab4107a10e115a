"""Which runtime a little model gets."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from tiny_network import write_tiny_bundle

from edge_sdk.errors import BundleError, RuntimeMissing
from edge_sdk.model import default_runtime as module
from edge_sdk.model.bundle import InputSpec
from edge_sdk.model.default_runtime import check_runtime, default_runtime
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


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of packages that cannot be imported or found."""
    lost: set[str] = set()
    load, find = importlib.import_module, importlib.util.find_spec

    def import_module(name: str) -> object:
        if any(name.startswith(one) for one in lost):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return load(name)

    monkeypatch.setattr(importlib, "import_module", import_module)
    monkeypatch.setattr(module, "find_spec", lambda name: None if name in lost else find(name))
    return lost


def test_without_any_it_says_what_does_not_run_and_the_command_that_mends_it(
    lost: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    lost.update((module.NATIVE, "executorch"))
    for ask in (default_runtime, check_runtime):
        with pytest.raises(RuntimeMissing, match=r"edge-sdk info.*C\+\+ compiler.* -m pip install executorch"):
            ask()
    assert module.main() == 2
    assert capsys.readouterr().err.startswith("edge-sdk: no little model can run here")


def test_the_executorch_package_runs_it_and_that_is_said(
    lost: set[str], capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    lost.add(module.NATIVE)
    check_runtime()
    assert module.main() == 1
    assert "apt install g++" in capsys.readouterr().err


def test_nothing_is_said_where_all_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    check_runtime()
    assert (module.main(), capsys.readouterr().err) == (0, "")
