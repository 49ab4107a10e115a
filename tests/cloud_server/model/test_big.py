from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cloud_server.model.big import load_model
from cloud_server.model.bundle_model import BundleModel
from edge_sdk.errors import ConfigError
from edge_sdk.model.bundle import InputSpec
from edge_sdk.model.inputs import prepare
from edge_sdk.networks.checkpoint import CheckpointInfo, create_model, load_checkpoint, save_checkpoint
from edge_sdk.types import Image


def pictures(count: int) -> list[Image]:
    rng = np.random.default_rng(7)
    return [np.kron(rng.integers(0, 255, (6, 8, 3)), np.ones((20, 20, 1))).astype(np.uint8) for _ in range(count)]


def test_a_batch_gives_what_the_network_gives_one_by_one(checkpoint: Path) -> None:
    model = load_model(str(checkpoint), "cpu", threads=1)
    module, info = load_checkpoint(checkpoint)
    inputs = [model.prepare(image) for image in pictures(5)]
    got, macs, *_ = model.run(inputs, [None] * len(inputs))
    assert (macs == model.macs).all()
    assert got.dtype == np.float32 and got.shape == (5, 4)
    assert np.allclose(got.sum(axis=1), 1, atol=1e-5)
    assert np.ptp(got, axis=0).max() > 0.05
    for image, row in zip(pictures(5), got, strict=True):
        pixels = torch.from_numpy(prepare(image, info.input).astype(np.float32) / 255)
        normal = (pixels - torch.tensor(info.input.mean)) / torch.tensor(info.input.std)
        with torch.inference_mode():
            expected = module(normal.permute(2, 0, 1)[None]).softmax(dim=1)[0].numpy()
        assert np.allclose(row, expected, atol=2e-4)


def test_it_says_what_it_is(checkpoint: Path) -> None:
    model = load_model(str(checkpoint))
    assert model.name == "tiny (test_resnet)"
    assert model.labels == ("empty", "fox", "deer", "boar")
    assert (model.input_width, model.input_height, model.parameters) == (64, 64, 373076)


@pytest.mark.parametrize("arch", ["test_vit", "test_convnext"])
def test_other_architectures_run(arch: str, tmp_path: Path) -> None:
    size = InputSpec(width=32, height=32, mean=(0.5,) * 3, std=(0.5,) * 3, resize="crop")
    module, info = create_model(arch, labels=["a", "b"], input=size)
    model = load_model(str(save_checkpoint(tmp_path / "x.safetensors", module, info)), "cpu")
    assert model.run([model.prepare(image) for image in pictures(2)], [None] * 2)[0].shape == (2, 2)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnett18", "Close names: resnet18"),
        ("no/such.safetensors", "there is no file .*no/such.safetensors"),
        ("such.safetensors", "there is no file"),
        (".", "folder without manifest.json"),
    ],
)
def test_an_unknown_model_is_explained(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_model(name, "cpu")


def test_a_file_that_is_no_checkpoint_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"no checkpoint")
    with pytest.raises(ConfigError, match="safetensors"):
        load_model(str(path), "cpu")


def test_a_checkpoint_without_labels_is_explained(tmp_path: Path) -> None:
    module, info = create_model("test_resnet", num_classes=0)
    bare = CheckpointInfo(arch=info.arch, labels=(), input=info.input)
    path = save_checkpoint(tmp_path / "bare.safetensors", module, bare)
    with pytest.raises(ConfigError, match=r"expected a model with labels; .*bare.* \(test_resnet\) has none"):
        load_model(str(path), "cpu")


def test_a_bad_device_is_explained(checkpoint: Path) -> None:
    with pytest.raises(ConfigError, match="auto, cpu, cuda; got 'tpu'"):
        load_model(str(checkpoint), "tpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_missing_gpu_is_explained(checkpoint: Path) -> None:
    with pytest.raises(ConfigError, match=r"expected a CUDA device .* sees none"):
        load_model(str(checkpoint), "cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_gpu_agrees_with_the_cpu(checkpoint: Path) -> None:
    on_gpu, on_cpu = load_model(str(checkpoint), "cuda"), load_model(str(checkpoint), "cpu")
    inputs = [on_cpu.prepare(image) for image in pictures(5)]
    assert np.allclose(on_gpu.run(inputs, [None] * 3)[0], on_cpu.run(inputs, [None] * 3)[0], atol=0.05)
    assert "cpu" not in on_gpu.device


def test_a_bundle_is_served_by_the_devices_runtime() -> None:
    import edge_sdk.model.bundle

    names = edge_sdk.model.bundle.shipped_bundles()
    if not names:
        pytest.skip("no bundle is shipped with this build")
    folder = edge_sdk.model.bundle.open_bundle(names[0]).model_path.parent
    model = load_model(str(folder))
    assert isinstance(model, BundleModel)
    rows, _ = model.run([model.prepare(image) for image in pictures(3)], [None] * 3)
    assert rows.shape == (3, len(model.labels)) and np.allclose(rows.sum(axis=1), 1, atol=1e-5)
    with pytest.raises(ConfigError, match="a bundle runs on the CPU alone"):
        load_model(str(folder), "cuda")


def test_a_fingerprint_follows_weights_and_labels(checkpoint: Path, tmp_path: Path) -> None:
    import torch

    from edge_sdk.networks.checkpoint import create_model, save_checkpoint

    first, again = (load_model(str(checkpoint), "cpu").fingerprint for _ in range(2))
    assert first == again
    module, info = create_model(str(checkpoint))
    with torch.no_grad():
        next(module.parameters()).view(-1)[0] += 1e-3
    changed = save_checkpoint(tmp_path / "tiny.safetensors", module, info)
    assert load_model(str(changed), "cpu").fingerprint != first
    assert load_model("trailcam", "cpu").fingerprint != first
