"""torchvision's networks: known by the names of their tensors, and compared with timm's by what they compute.

Weights say nothing of padding or of the epsilon of batch normalisation, and timm has networks that differ in these
alone. Where a file's names are torchvision's, torchvision's own network tells which of them is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from edge_sdk.networks.fit_weights import DoesNotFit, fit_weights
from edge_sdk.networks.nearest import torchvision_names
from edge_sdk.networks.timm_library import import_timm

SAME = 1e-4
"""Largest difference of two networks' outputs, as a share of their spread, that rounding may explain."""
_SLOW = ("googlenet", "inception_v3")


@dataclass(frozen=True, slots=True, eq=False)
class Twin:
    """A file's weights in torchvision's own network.

    Attributes:
        name: torchvision's.
        module: the network with the file's weights, in evaluation mode.
        tensors: the file's tensors by torchvision's names, in the order of the network.
    """

    name: str
    module: nn.Module
    tensors: dict[str, torch.Tensor]

    def difference(self, other: nn.Module, width: int, height: int) -> float:
        """The largest difference of outputs on one random picture, as a share of the outputs' spread."""
        picture = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            ours, theirs = other(picture), self.module(picture)
        if ours.shape != theirs.shape:
            return float("inf")
        return float((ours - theirs).abs().max() / theirs.std().clamp(min=1e-12))

    @property
    def epsilon(self) -> float | None:
        """Of its batch normalisation; None where it has none, or several."""
        return epsilon_of(self.module)


def epsilon_of(module: nn.Module) -> float | None:
    """The epsilon of a network's batch normalisation; None where it has none, or several."""
    found = {layer.eps for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)}
    return found.pop() if len(found) == 1 else None


def torchvision_twin(tensors: Mapping[str, torch.Tensor]) -> Twin | None:
    """The network of torchvision whose names and shapes a file has; None: it has none's."""
    found = torchvision_names({name: tuple(tensor.shape) for name, tensor in tensors.items()})
    if not found:
        return None
    import_timm()  # repairs torchvision
    from torchvision import models

    for name in found:
        options = {"init_weights": False} if name in _SLOW else {}
        classes = _classes(tensors)
        module = models.get_model(name, weights=None, num_classes=classes, **options).eval()
        try:
            state = fit_weights(tensors, module, ordered=False).state
        except DoesNotFit:
            continue
        module.load_state_dict(state, strict=False)
        order = [key for key in module.state_dict() if key in state]
        return Twin(name, module, {key: state[key] for key in order})
    return None


def _classes(tensors: Mapping[str, torch.Tensor]) -> int:
    """The number of classes: torchvision's last layer is its classifier, by name in every network of theirs."""
    heads = [
        name
        for name, tensor in tensors.items()
        if tensor.ndim in (2, 4) and name.rpartition(".")[2] == "weight" and _is_head(name)
    ]
    return len(tensors[max(heads, key=_number)]) if heads else 1000


def _is_head(name: str) -> bool:
    parts = name.split(".")
    return not any(part.lower().startswith("aux") for part in parts) and any(
        part in ("fc", "classifier", "heads", "head") for part in parts[:-1][-2:]
    )


def _number(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.split(".") if part.isdigit())
