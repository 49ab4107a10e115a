"""Small residual networks of a chosen width, written as checkpoints."""

from __future__ import annotations

from pathlib import Path

import torch
from tiny_network import LABELS

from edge_sdk.model.bundle import InputSpec
from edge_sdk.networks.checkpoint import create_model, save_checkpoint


def write_resnet(path: Path, width: int, labels: tuple[str, ...] = LABELS) -> str:
    """A fresh network for pictures of 64x48; the path of its checkpoint."""
    torch.manual_seed(width)
    options = {"channels": [width, width, 2 * width, 2 * width], "stem_width": 8}
    module, info = create_model(
        "resnet10t", labels=labels, input=InputSpec(64, 48, (0.5,) * 3, (0.5,) * 3), options=options
    )
    return str(save_checkpoint(path, module, info))
