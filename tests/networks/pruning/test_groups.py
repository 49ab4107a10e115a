"""Groups of channels and the layers they enter and leave."""

from __future__ import annotations

import torch
from pruning_parts import load, pruned, some

from edge_sdk.workbench.specialize.layers import flat_weight


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
