"""A task that is learnt in seconds: coloured squares on noise, and networks small enough to be cut within a test."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from edge_sdk.model.bundle import InputSpec
from edge_sdk.networks.checkpoint import CheckpointInfo, create_model
from edge_sdk.workbench.specialize.hessian import energy
from edge_sdk.workbench.specialize.samples import Samples
from edge_sdk.workbench.tensors import to_tensor

SIDE = 32
MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
SPEC = InputSpec(SIDE, SIDE, MEAN, STD)
LABELS = ("red", "green", "blue", "white", "black", "yellow")
_COLOURS = ((230, 30, 30), (30, 220, 30), (40, 40, 240), (250, 250, 250), (0, 0, 0), (235, 225, 20))

OPTIONS: dict[str, dict[str, Any]] = {
    "resnet10t": {"channels": (8, 16, 16, 24), "stem_width": 8, "avg_down": False},
    "resnet14t": {"channels": (8, 8, 16, 16), "stem_width": 8},
    "convnext_atto": {"dims": (8, 16, 24, 32), "depths": (1, 1, 2, 1)},
    "deit_tiny_patch16_224": {"embed_dim": 48, "depth": 2, "num_heads": 3},
    "vit_tiny_patch16_224": {"embed_dim": 48, "depth": 2, "num_heads": 3},
}
"""Where timm's architecture is not small as it is."""


def network(
    arch: str, labels: tuple[str, ...] = LABELS[:4], *, side: int = SIDE, seed: int = 0
) -> tuple[nn.Module, CheckpointInfo]:
    """An untrained network whose normalisations have statistics and weights of their own."""
    torch.manual_seed(seed)
    spec = InputSpec(side, side, MEAN, STD)
    module, info = create_model(arch, labels=labels, input=spec, options=OPTIONS.get(arch, {}))
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, nn.BatchNorm2d) and layer.running_mean is not None and layer.running_var is not None:
                layer.running_mean.normal_(0, 0.3)
                layer.running_var.uniform_(0.5, 1.5)
                layer.weight.uniform_(0.5, 1.5)
                layer.bias.normal_(0, 0.3)
    return module, info


def squares(each: int, labels: tuple[str, ...] = LABELS[:4], *, seed: int = 0, side: int = SIDE) -> Samples:
    """So many pictures of each class: a square of the class's colour somewhere on grey noise."""
    rng = np.random.default_rng([seed, 77])
    images, truths = [], []
    for truth, label in enumerate(labels):
        for _ in range(each):
            image = rng.integers(70, 160, (side, side, 3), np.uint8)
            size = int(rng.integers(side // 2, side * 3 // 4))
            left, top = rng.integers(0, side - size, 2)
            image[top : top + size, left : left + size] = _COLOURS[LABELS.index(label)]
            images.append(image)
            truths.append(truth)
    return Samples(np.stack(images), np.array(truths, np.int64), labels)


def noise(count: int, *, seed: int = 0, side: int = SIDE) -> Samples:
    """Pictures of nothing in particular, without truths."""
    images = np.random.default_rng([seed, 78]).integers(0, 256, (count, side, side, 3), np.uint8)
    return Samples(images, np.full(count, -1, np.int64), ())


def write_pictures(folder: Path, samples: Samples) -> dict[str, list[Path]]:
    """`folder/CLASS/NUMBER.png`."""
    files: dict[str, list[Path]] = {label: [] for label in samples.labels}
    for number, (image, truth) in enumerate(zip(samples.images, samples.truths, strict=True)):
        path = folder / samples.labels[truth] / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), image[..., ::-1])
        files[samples.labels[truth]].append(path)
    return files


@functools.cache
def trained(
    arch: str = "resnet10t", labels: tuple[str, ...] = LABELS, *, steps: int = 60, side: int = SIDE
) -> tuple[nn.Module, CheckpointInfo]:
    """A network that knows the squares; do not change it."""
    module, info = network(arch, labels, side=side)
    samples = squares(64, labels, seed=1, side=side)
    optimizer = torch.optim.AdamW(module.parameters(), lr=3e-3)
    rng = np.random.default_rng(0)
    module.train()
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 3e-3 * (1 - step / steps)
        chosen = rng.integers(0, len(samples), 48)
        logits = module(to_tensor(samples.images[chosen], info.input))
        nn.functional.cross_entropy(logits, torch.from_numpy(samples.truths[chosen])).backward()  # type: ignore
        optimizer.step()
        optimizer.zero_grad()
    module.eval().requires_grad_(True)
    return module, info


def share_right(module: nn.Module, samples: Samples, spec: InputSpec = SPEC) -> float:
    """Of the samples."""
    with torch.inference_mode():
        named = torch.cat([module(batch) for batch in samples.batches(spec)]).argmax(1).numpy()
    return float((named == samples.truths).mean())


def output_error(weight: Tensor, new: Tensor, hessian: Tensor) -> float:
    """Squared error of a layer's outputs as a share of their energy."""
    return energy(weight.double() - new.double(), hessian) / energy(weight, hessian)
