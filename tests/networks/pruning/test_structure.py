"""Groups of channels and heads: what is removed leaves the network that was said, no more and no less."""

from __future__ import annotations

import dataclasses

import little_task
import pytest
import torch
from pruning_parts import BATCH_NORMED, NETWORKS, load, picture, pruned, some, zeroed

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.bundle import InputSpec
from edge_sdk.networks.checkpoint import create_model
from edge_sdk.networks.macs import count_macs, count_parameters
from edge_sdk.networks.pruning.groups import Structure, complement
from edge_sdk.networks.pruning.structure import find_structure, shrink, widths
from edge_sdk.workbench.specialize.cost import Cost, check_cut


@pytest.mark.parametrize("arch", NETWORKS)
def test_a_cut_network_runs_and_costs_what_was_said(arch: str) -> None:
    module, structure, side = load(arch)
    cost = Cost(module, structure, side, side)
    assert (cost.parameters, cost.macs) == (count_parameters(module), count_macs(module, side, side))
    assert cost.of({}) == (cost.parameters, cost.macs)
    assert cost.of({group.name: group.channels for group in structure.groups}) == cost.of({})
    for seed in range(1 if arch.endswith(("b0", "lite0")) else 2):
        remaining = some(structure, seed)
        cut = pruned(module, side, remaining)
        assert cut(picture(side)).shape == (2, 4)
        assert cost.of(widths(remaining)) == (count_parameters(cut), count_macs(cut, side, side))
        again = find_structure(cut, side, side)
        left = {name: number for name, number in widths(remaining).items() if f"{name}.qkv" not in again.dense}
        assert {group.name: group.channels for group in again.groups} == left


@pytest.mark.parametrize("arch", ["resnet10t", "vit_tiny_patch16_224", "convnext_atto"])
def test_each_group_alone_costs_what_was_said(arch: str) -> None:
    module, structure, side = load(arch)
    cost = Cost(module, structure, side, side)
    for group in structure.groups:
        remaining = {group.name: torch.arange(group.channels // 3, group.channels)}
        cut = pruned(module, side, remaining)
        assert cost.of(widths(remaining)) == (count_parameters(cut), count_macs(cut, side, side)), group.name


@pytest.mark.parametrize("arch", BATCH_NORMED)
def test_removed_channels_are_those_that_nothing_reads(arch: str) -> None:
    module, structure, side = load(arch)
    remaining = some(structure, 3)
    networks = (pruned(module, side, remaining), zeroed(module, structure, remaining), module)
    with torch.inference_mode():
        small, same, whole = (one(picture(side)) for one in networks)
    torch.testing.assert_close(small, same, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(small, whole, rtol=1e-3, atol=1e-3)


def test_attention_within_patches_costs_what_was_said() -> None:
    spec = InputSpec(64, 64, little_task.MEAN, little_task.STD)
    module, _ = create_model("mobilevit_xxs", labels=("a", "b"), input=spec)
    structure = find_structure(module, 64, 64)
    assert any(group.kind == "heads" for group in structure.groups)
    check_cut(module, structure, 64, 64)


def test_networks_that_cannot_be_cut_are_refused() -> None:
    ghost, _ = create_model("ghostnet_050", labels=("a", "b"), input=little_task.SPEC)
    with pytest.raises(WorkbenchError, match="layers can be traced; GhostNet cannot"):
        find_structure(ghost, 32, 32)
    grouped, _ = create_model(
        "vit_tiny_r_s16_p8_224", labels=("a", "b"), input=little_task.SPEC, options={"embed_dim": 48, "depth": 1}
    )
    with pytest.raises(WorkbenchError, match=r"runs with fewer channels; VisionTransformer does not: .*num_groups"):
        check_cut(grouped, find_structure(grouped, 32, 32), 32, 32)
    module, structure, _ = load("resnet10t")
    first, *others = structure.groups
    wrong = Structure((dataclasses.replace(first, singles=()), *others), {})
    with pytest.raises(WorkbenchError, match="groups are independent; ResNet at 60% of its channels has"):
        check_cut(module, wrong, 32, 32)


@pytest.mark.parametrize("arch", ["resnet10t", "vit_tiny_patch16_224", "convnext_atto", "lcnet_050"])
def test_a_shrunk_network_takes_a_pruned_ones_weights(arch: str) -> None:
    module, structure, side = load(arch)
    remaining = some(structure, 5)
    cut = pruned(module, side, remaining)
    fresh, _ = little_task.network(arch, side=side, seed=9)
    shrink(fresh, side, side, widths(remaining))
    fresh.load_state_dict(cut.state_dict())
    with torch.inference_mode():
        assert torch.equal(fresh.eval()(picture(side)), cut(picture(side)))


def test_keeping_everything_changes_nothing() -> None:
    module, structure, side = load("vit_tiny_patch16_224")
    same = pruned(module, side, {group.name: torch.arange(group.channels) for group in structure.groups})
    assert all(torch.equal(value, module.state_dict()[name]) for name, value in same.state_dict().items())
    assert pruned(module, side, {})(picture(side)).shape == (2, 4)
    assert complement(torch.tensor([0, 3]), 5).tolist() == [1, 2, 4]
