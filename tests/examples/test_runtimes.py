"""The example runtimes with real networks in the real packages."""

from __future__ import annotations

import importlib.util
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import foreign_networks as tiny
import numpy as np
import pytest

from edge_sdk import BundleError, EdgeClassifier, LittleModel
from edge_sdk.model.wrap import wrap_network

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "runtimes"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def onnx(folder: Path) -> tuple[Any, Path]:
    for package in ("onnxruntime", "onnx"):
        pytest.importorskip(package, reason=f'no {package}: pip install ".[test]" brings it')
    return example("onnxruntime_runtime").OnnxRuntime(), tiny.write_onnx(folder / "tiny.onnx")


def litert(folder: Path) -> tuple[Any, Path]:
    for package in ("ai_edge_litert", "tflite"):
        pytest.importorskip(package, reason=f'no {package}: pip install ".[test]" brings it')
    return example("litert_runtime").LiteRt(), tiny.write_tflite(folder / "tiny.tflite")


@pytest.fixture(params=[onnx, litert], ids=["onnxruntime", "litert"])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Any, Path]:
    """A runtime, and a network for it."""
    made: tuple[Any, Path] = request.param(tmp_path)
    return made


def picture(seed: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 256, (tiny.SPEC.height, tiny.SPEC.width, 3), np.uint8)


def test_it_computes_what_the_network_says(case: tuple[Any, Path], tmp_path: Path) -> None:
    runtime, network = case
    bundle = wrap_network(tmp_path / "b", network, runtime=runtime, labels=tiny.LABELS, input=tiny.SPEC, macs=12)
    with LittleModel(bundle, runtime=runtime) as model, ThreadPoolExecutor(4) as pool:
        pictures = [picture(seed) for seed in range(32)]
        for came, image in zip(pool.map(model.logits, pictures), pictures, strict=True):
            np.testing.assert_allclose(came, tiny.logits(image), atol=1e-4)


def test_a_device_runs_on_it(case: tuple[Any, Path], tmp_path: Path) -> None:
    runtime, network = case
    bundle = wrap_network(tmp_path / "b", network, runtime=runtime, labels=tiny.LABELS, input=tiny.SPEC, macs=12)
    blue = np.zeros((48, 80, 3), np.uint8)
    blue[..., 2] = 255
    with EdgeClassifier(bundle, runtime=runtime, state_dir=tmp_path / "state") as edge:
        assert edge.classify(blue).label == "blue"
        assert edge.usage.macs_little == 12


def test_a_file_that_is_no_network_is_named(case: tuple[Any, Path], tmp_path: Path) -> None:
    runtime, _ = case
    (tmp_path / "broken").write_bytes(b"not a network" * 100)
    with pytest.raises(BundleError, match=r"broken: expected a network that .* can load; got: "):
        runtime.load(tmp_path / "broken", tiny.SPEC, 1)


def test_a_network_of_another_shape_is_refused(tmp_path: Path) -> None:
    runtime, _ = onnx(tmp_path)
    four = tiny.write_onnx(tmp_path / "four.onnx", channels=4)
    with pytest.raises(BundleError, match=r"expected one input of shape \(1, 3, H, W\); got"):
        runtime.load(four, tiny.SPEC, 1)
    free = runtime.load(tiny.write_onnx(tmp_path / "free.onnx", height="height"), tiny.SPEC, 1)
    assert (free.width, free.height, free.outputs) == (20, 12, 4)
