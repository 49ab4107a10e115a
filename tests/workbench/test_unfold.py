"""Folded weights find their way back into the network."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from edge_sdk.workbench.unfold import Folded, folded_layers

pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporter's own code


def network() -> nn.Sequential:
    torch.manual_seed(0)
    made = nn.Sequential(
        nn.Conv2d(3, 6, 3, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Conv2d(6, 6, 3, groups=6),
        nn.BatchNorm2d(6),
        nn.Conv2d(6, 4, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    )
    made.train()(torch.randn(8, 3, 9, 9))
    for layer in made:
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight)
            nn.init.normal_(layer.bias)
    return made.eval()


def taken(module: nn.Module) -> tuple[torch.fx.GraphModule, list[Folded]]:
    from edge_sdk.workbench.rewrites.capture import capture

    inputs = (torch.zeros(1, 3, 9, 9),)
    captured = capture(module, inputs)
    return captured, [layer for layer in folded_layers(module, inputs) if layer.take(module, captured)]


def test_every_layer_is_found_and_comes_back_unchanged() -> None:
    module = network()
    _, layers = taken(module)
    assert [layer.weight for layer in layers] == ["0.weight", "3.weight", "5.weight", "8.weight"]
    other = copy.deepcopy(module)
    for layer in layers:
        layer.write_back(other)
    for name, value in module.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], value, atol=1e-5, rtol=1e-4)


def test_changed_weights_come_back_as_the_network_that_they_make() -> None:
    module = network()
    captured, layers = taken(module)
    with torch.no_grad():
        for layer in layers:
            for tensor in layer.tensors:
                tensor += 0.1 * torch.randn_like(tensor)
    for layer in layers:
        layer.write_back(module)
    picture = torch.randn(1, 3, 9, 9)
    with torch.no_grad():
        torch.testing.assert_close(module(picture), captured(picture), atol=1e-4, rtol=1e-3)
