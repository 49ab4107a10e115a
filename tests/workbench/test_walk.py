"""A captured network, node by node over many pictures."""

from __future__ import annotations

import weakref

import pytest
import torch
from torch import nn

from edge_sdk.workbench.walk import most_pictures, walk


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        left, right = self.second(x.relu()).chunk(2, 1)
        return (left * right.sigmoid() + x[:, :2]).mean((2, 3))  # type: ignore[no-any-return]


def captured() -> torch.fx.GraphModule:
    torch.manual_seed(0)
    return torch.export.export(Branches().eval(), (torch.zeros(1, 3, 5, 6),), strict=False).module()


def test_outputs_are_those_of_single_runs() -> None:
    network, pictures = captured(), list(torch.randn(4, 1, 3, 5, 6))
    for got, picture in zip(walk(network, pictures), pictures, strict=True):
        torch.testing.assert_close(got, network(picture))


def test_a_change_at_a_node_is_seen_by_those_that_follow() -> None:
    network, pictures = captured(), list(torch.randn(3, 1, 3, 5, 6))

    def change(node: torch.fx.Node, values: list[torch.Tensor], _: object) -> None:
        if node.name == "conv2d":
            for value in values:
                value += 1

    changed = captured()
    with torch.no_grad():
        changed.first.bias += 1  # type: ignore[operator, union-attr]
    for got, picture in zip(walk(network, pictures, change), pictures, strict=True):
        torch.testing.assert_close(got, changed(picture))


def test_values_are_freed_after_their_last_use() -> None:
    network = captured()
    alive: list[weakref.ref[torch.Tensor]] = []

    def see(node: torch.fx.Node, values: list[torch.Tensor], _: object) -> None:
        assert sum(one() is not None for one in alive) <= 4
        alive.append(weakref.ref(values[0]))

    walk(network, [torch.randn(1, 3, 5, 6)], see)
    assert len(alive) > 6


@pytest.mark.parametrize(("memory", "pictures"), [(0, 1), (4 * 480, 1), (4 * 480 * 9, 9)])
def test_memory_bounds_the_pictures(memory: int, pictures: int) -> None:
    assert most_pictures(captured(), torch.zeros(1, 3, 5, 6), memory) == pictures
