"""A tiny trained-looking checkpoint, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

LABELS = ("empty", "fox", "deer", "boar")


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A timm network of 0.4 M random weights, 64x64, four labels, as a checkpoint file."""
    import torch

    from edge_sdk.model.bundle import InputSpec
    from edge_sdk.networks.checkpoint import create_model, save_checkpoint

    torch.set_num_threads(1)
    torch.manual_seed(0)
    given = InputSpec(width=64, height=64, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
    module, info = create_model("test_resnet", labels=LABELS, input=given)
    with torch.no_grad():  # a fresh network says the same of every picture: stretch what differs
        logits = module(torch.nn.functional.interpolate(torch.randn(32, 3, 8, 8), (64, 64)))
        scale = 2 / logits.std(dim=0).mean()
        module.get_parameter("fc.weight").mul_(scale)
        module.get_parameter("fc.bias").sub_(logits.mean(dim=0)).mul_(scale)
    return save_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny.safetensors", module, info)
