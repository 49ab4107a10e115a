"""Which layers hang together, by tracing."""

from __future__ import annotations

import copy

import little_task
import pytest
import torch
from torch import nn

from edge_sdk.networks.pruning.groups import Structure
from edge_sdk.networks.pruning.structure import find_structure
from edge_sdk.workbench.specialize.cost import Cost

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


def test_which_layers_hang_together_in_a_residual_network() -> None:
    _, structure, _ = load("resnet10t")
    groups = {group.name: group for group in structure.groups}
    inner = groups["layer2.0.conv1"]
    assert ([m.layer for m in inner.producers], [m.layer for m in inner.consumers]) == (
        ["layer2.0.conv1"],
        ["layer2.0.conv2"],
    )
    assert inner.singles == (("layer2.0.bn1", 2),)
    assert inner.consumers[0].index.tolist() == [list(range(9 * c, 9 * c + 9)) for c in range(16)]
    stream = next(group for group in structure.groups if "layer2.0.conv2" in [m.layer for m in group.producers])
    assert {m.layer for m in stream.producers} == {"layer2.0.conv2", "layer2.0.downsample.0"}
    assert {m.layer for m in stream.consumers} == {"layer3.0.conv1", "layer3.0.downsample.0"}
    last = next(group for group in structure.groups if "fc" in [m.layer for m in group.consumers])
    assert {m.layer for m in last.producers} == {"layer4.0.conv2", "layer4.0.downsample.0"}
    assert structure.dense == {}


def test_grouped_convolutions_stay_whole_with_a_reason() -> None:
    _, structure, _ = load("regnety_002")
    assert structure.dense["s3.b2.conv1.conv"] == "s3.b2.conv2.conv is a grouped convolution"
    assert {group.name for group in structure.groups} >= {"stem.conv", "s3.b2.se.fc1", "s4.b1.downsample.conv"}
    assert not set(structure.dense) & {group.name for group in structure.groups}


@pytest.mark.parametrize("training", [False, True])
def test_looking_changes_nothing(training: bool) -> None:
    module, _ = little_task.network("mobilenetv3_small_050")
    module.train(training)
    for number, parameter in enumerate(module.parameters()):
        parameter.requires_grad_(number % 2 == 0)
    before = copy.deepcopy(module.state_dict())
    structure = find_structure(module, 32, 32)
    Cost(module, structure, 32, 32)
    assert all(layer.training == training for layer in module.modules())
    assert [parameter.requires_grad for parameter in module.parameters()] == [
        number % 2 == 0 for number, _ in enumerate(module.parameters())
    ]
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())
    with torch.inference_mode():
        again = find_structure(module, 32, 32)
    assert [group.name for group in again.groups] == [group.name for group in structure.groups]
