"""Networks whose channels and heads are cut, for the tests of pruning."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import little_task
import torch
from torch import nn

from edge_sdk.networks.pruning.groups import RemainingChannels, Structure, complement
from edge_sdk.networks.pruning.structure import find_structure, prune
from edge_sdk.workbench.specialize.layers import flat_weight, set_weight

NETWORKS = {
    "resnet10t": 32,
    "resnet14t": 32,
    "convnext_atto": 32,
    "deit_tiny_patch16_224": 32,
    "vit_tiny_patch16_224": 48,
    "mobilenetv3_small_050": 32,
    "tf_efficientnet_lite0": 32,
    "efficientnet_b0": 32,
    "lcnet_050": 32,
    "regnety_002": 32,
}
BATCH_NORMED = [name for name in NETWORKS if not name.startswith(("convnext", "deit", "vit"))]


def load(arch: str) -> tuple[nn.Module, Structure, int]:
    side = NETWORKS[arch]
    module, _ = little_task.network(arch, side=side)
    return module, find_structure(module, side, side), side


def some(structure: Structure, seed: int, *, most: float = 0.9) -> dict[str, torch.Tensor]:
    """Arbitrary channels of every group."""
    generator = torch.Generator().manual_seed(seed)
    remaining = {}
    for group in structure.groups:
        share = float(torch.rand((), generator=generator)) * most
        number = max(1 if group.kind == "heads" else 2, round(group.channels * share))
        remaining[group.name] = torch.randperm(group.channels, generator=generator)[:number].sort().values
    return remaining


def pruned(module: nn.Module, side: int, remaining: RemainingChannels) -> nn.Module:
    cut = copy.deepcopy(module)
    prune(cut, side, side, remaining)
    return cut


def zeroed(module: nn.Module, structure: Structure, remaining: Mapping[str, torch.Tensor]) -> nn.Module:
    """The whole network, but what reads a removed channel multiplies it by 0."""
    same = copy.deepcopy(module)
    for group in structure.groups:
        gone = complement(remaining.get(group.name, torch.arange(group.channels)), group.channels)
        for member in group.consumers:
            layer = same.get_submodule(member.layer)
            weight = flat_weight(layer)
            weight[:, member.index[gone].flatten()] = 0
            set_weight(layer, weight)
    return same


def picture(side: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(seed))
