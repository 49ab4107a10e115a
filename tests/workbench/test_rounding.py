"""Weights rounded with their inputs in view."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from edge_sdk.workbench.bias_correction import is_layer
from edge_sdk.workbench.rounding import covariances, round_weight
from edge_sdk.workbench.specialize.sparse import Grid

LAYERS = [
    nn.Conv2d(6, 4, 3, 2, 1),
    nn.Conv2d(6, 6, 3, 1, (2, 0), groups=6),
    nn.Conv2d(6, 4, (1, 3), 1, (0, 2), dilation=2, groups=2),
    nn.Conv2d(6, 5, 1, 2),
    nn.Conv2d(6, 5, 3, padding="same"),
    nn.Linear(6, 3),
]


def captured(layer: nn.Module, picture: torch.Tensor) -> torch.fx.Node:
    network: Any = torch.export.export(layer, (picture,), strict=False).module()
    layers: list[torch.fx.Node] = [node for node in network.graph.nodes if is_layer(node)]
    return layers[0]


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_covariances_give_the_variance_of_the_outputs(layer: Any) -> None:
    torch.manual_seed(0)
    size = (1, 7, 6) if isinstance(layer, nn.Linear) else (1, 6, 9, 8)
    pictures = [torch.randn(size) for _ in range(5)]
    found = covariances(captured(layer, pictures[0]), pictures, layer.weight)
    with torch.no_grad():
        outputs = torch.cat([layer(picture) for picture in pictures])
    outputs = outputs.flatten(0, 1) if outputs.dim() == 3 else outputs.movedim(1, -1).flatten(0, 2)
    weight = layer.weight.detach().flatten(1).double().view(len(found), -1, found.shape[-1])
    variance = torch.einsum("goi,gij,goj->go", weight, found, weight).flatten()
    torch.testing.assert_close(variance, outputs.double().var(0, correction=0), rtol=1e-4, atol=1e-6)


def test_independent_inputs_are_rounded_to_the_nearest() -> None:
    torch.manual_seed(0)
    weight = torch.randn(5, 7)
    grid = Grid.of(weight)
    codes = round_weight(weight, grid.scale, torch.eye(7, dtype=torch.float64)[None])
    assert codes.dtype == torch.int8 and torch.equal(codes.double(), grid.codes(weight))


@pytest.mark.parametrize("seed", range(4))
def test_dependent_inputs_are_rounded_to_nearer_outputs(seed: int) -> None:
    torch.manual_seed(seed)
    weight, mixed = torch.randn(8, 12), torch.randn(400, 4) @ torch.randn(4, 12) + 0.1 * torch.randn(400, 12)
    scale = weight.abs().amax(1) / 15  # coarse steps
    gram = (mixed.T @ mixed / 400).double()

    def error(rounded: torch.Tensor) -> float:
        off = rounded.double() * scale.double()[:, None] - weight.double()
        return float(torch.einsum("oi,ij,oj->", off, gram, off))

    assert error(round_weight(weight, scale, gram[None])) < 0.5 * error(Grid(scale).codes(weight))


def test_many_groups_at_once_are_rounded_as_one_by_one() -> None:
    torch.manual_seed(0)
    weight, mixed = torch.randn(10, 9), torch.randn(5, 200, 9) @ torch.randn(5, 9, 9)
    scale = weight.abs().amax(1) / 20
    grams = (mixed.transpose(1, 2) @ mixed / 200).double()
    alone = [round_weight(weight[2 * n : 2 * n + 2], scale[2 * n : 2 * n + 2], grams[n : n + 1]) for n in range(5)]
    assert torch.equal(round_weight(weight, scale, grams), torch.cat(alone))
