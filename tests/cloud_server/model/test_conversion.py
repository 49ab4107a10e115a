"""Networks are converted for OpenVINO in a real process, from real files of weights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from cloud_server.model.big import load_model, load_torch
from cloud_server.model.conversion import convert, converted
from cloud_server.model.conversion_store import ConversionStore, key_of
from cloud_server.model.openvino_model import OpenVinoModel
from edge_sdk.errors import ConfigError
from edge_sdk.model.bundle import InputSpec
from edge_sdk.networks.checkpoint import create_model, save_checkpoint

pytest.importorskip("openvino", reason='no openvino: pip install ".[openvino]" brings it')


def images(model: OpenVinoModel, count: int) -> list[np.ndarray]:
    shape = (count, model.input_height, model.input_width, 3)
    return list(np.random.default_rng(3).integers(0, 256, shape, np.uint8))


def test_it_is_converted_once_and_answers_as_torch_does(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    there, here = load_model(str(checkpoint), "cpu", 2, "openvino"), load_model(str(checkpoint), "cpu", 2)
    assert isinstance(there, OpenVinoModel)
    for name in ("name", "labels", "input_width", "input_height", "macs", "parameters", "fingerprint"):
        assert getattr(there, name) == getattr(here, name), name
    for count in (1, 2, 3, 8, 31):
        pictures = images(there, count)
        got, macs = there.run(pictures, [None] * count)[:2]
        expected, spent = here.run(pictures, [None] * count)[:2]
        assert got.dtype == np.float32 and macs.dtype == np.int64
        assert np.abs(got - expected).max() < 1e-5 and (macs == spent).all()
    monkeypatch.setattr(subprocess, "run", None)  # nothing is converted again
    assert load_model(str(checkpoint), "cpu", 1, "openvino").fingerprint == here.fingerprint


def test_a_later_start_loads_no_torch(checkpoint: Path, tmp_path: Path) -> None:
    converted(str(checkpoint), ConversionStore(tmp_path / "cloud-server" / "openvino"))
    program = (
        "import sys; import cloud_server.server; from cloud_server.model.big import load_model; "
        f"model = load_model({str(checkpoint)!r}, 'cpu', 1, 'openvino'); "
        "print(model.name, [name for name in ('torch', 'timm', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"XDG_CACHE_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "tiny (test_resnet) []", done.stderr


@pytest.mark.parametrize("arch", ["test_vit", "test_convnext", "test_efficientnet"])
def test_other_architectures_and_sizes_of_batches(arch: str, tmp_path: Path) -> None:
    size = InputSpec(width=64, height=64, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4), resize="crop")
    module, info = create_model(arch, labels=["a", "b"], input=size)
    path = save_checkpoint(tmp_path / "x.safetensors", module, info)
    loaded = load_torch(str(path), "cpu", 2)
    store, key = ConversionStore(tmp_path / "kept"), key_of(str(path))
    network, about = convert(loaded, loaded.arch, store, key)
    assert store.find(key) == (network, about)
    model = OpenVinoModel(network, about, name="x", threads=2)
    for count in (1, 5):
        pictures = images(model, count)
        got, expected = model.run(pictures, [None] * count)[0], loaded.run(pictures, [None] * count)[0]
        assert np.abs(got - expected).max() < 1e-5


def test_what_cannot_be_converted_is_told(tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ConversionStore(tmp_path)
    with pytest.raises(ConfigError, match=r"cannot convert .*no/such.safetensors.*there is no file"):
        converted("no/such.safetensors", store)
    loaded = load_torch(str(checkpoint), "cpu", 1)

    class Otherwise(torch.nn.Module):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return torch.softmax(pixels.float().mean(dim=(1, 2))[:, [0, 1, 2, 0]], dim=1)

    monkeypatch.setattr(loaded, "whole", Otherwise)
    with pytest.raises(ConfigError, match="expected the same answers from OpenVINO; they differ by up to"):
        convert(loaded, loaded.arch, store, "key")
    assert store.find("key") is None
