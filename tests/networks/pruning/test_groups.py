"""Groups of channels and the layers they enter and leave."""

from __future__ import annotations

import copy

import little_task
import torch
from torch import nn

from edge_sdk.networks.pruning.groups import RemainingChannels, Structure
from edge_sdk.networks.pruning.structure import find_structure, prune
from edge_sdk.workbench.specialize.layers import flat_weight

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


def test_a_groups_indices_cover_its_layers_once() -> None:
    for arch in ("resnet10t", "vit_tiny_patch16_224", "mobilenetv3_small_050"):
        module, structure, _ = load(arch)
        for group in structure.groups:
            assert group.consumers
            for member in (*group.consumers, *group.producers):
                assert member.index.shape[0] == group.channels
                assert member.index.unique().numel() == member.index.numel()  # type: ignore[no-untyped-call]
            for member in group.consumers:
                assert int(member.index.max()) < flat_weight(module.get_submodule(member.layer)).shape[1]


def test_what_remains_keeps_its_weights() -> None:
    module, structure, side = load("resnet10t")
    remaining = some(structure, 6)
    cut = pruned(module, side, remaining)
    for name in {member.layer for group in structure.groups for member in (*group.consumers, *group.producers)}:
        whole = flat_weight(module.get_submodule(name))
        rows = structure.rows(name, whole.shape[0], remaining)
        columns = structure.columns(name, whole.shape[1], remaining)
        assert torch.equal(flat_weight(cut.get_submodule(name)), whole[rows][:, columns])
