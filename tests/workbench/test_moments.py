"""Second moments of layers of a captured network."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from edge_sdk.workbench.moments import Moments, moments
from edge_sdk.workbench.walk import is_layer

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
    with torch.no_grad():
        each = [layer(picture) for picture in pictures]
    of = moments(captured(layer, pictures[0]), pictures, each, layer.weight)
    found, outputs = of.covariance, torch.cat(each)
    outputs = outputs.flatten(0, 1) if outputs.dim() == 3 else outputs.movedim(1, -1).flatten(0, 2)
    weight = layer.weight.detach().flatten(1).double().view(len(found), -1, found.shape[-1])
    variance = torch.einsum("goi,gij,goj->go", weight, found, weight).flatten()
    torch.testing.assert_close(variance, outputs.double().var(0, correction=0), rtol=1e-4, atol=1e-6)
    by_weight = torch.einsum("goi,gij->goj", weight, found)
    torch.testing.assert_close(of.cross, by_weight, rtol=1e-4, atol=1e-5)


def test_an_average_is_that_of_all_pictures_together() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(6, 4, 3, 2, 1, groups=2)
    pictures, lacking = list(torch.randn(4, 1, 6, 9, 8)), list(torch.randn(4, 1, 4, 5, 4))
    pictures[0] += 3.0
    lacking[0] += 2.0
    node = captured(layer, pictures[0])
    together = moments(node, pictures, lacking, layer.weight)
    parts = [moments(node, pictures[at::2], lacking[at::2], layer.weight) for at in (0, 1)]
    for name in ("covariance", "cross", "mean_in", "mean_out"):
        torch.testing.assert_close(getattr(Moments.average(parts), name), getattr(together, name))
