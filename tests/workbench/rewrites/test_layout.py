"""Views, slices and copies."""

from collections.abc import Callable

import pytest
import torch
from rewriting import rewritten
from torch import Tensor, nn

MOVES = {"view_copy", "permute", "slice", "cat"}
FUNCTIONS = {
    "chunk": lambda x: torch.cat(x.chunk(2, 1)[::-1], 1),
    "split": lambda x: torch.cat(x.split([1, 2, 5], 1)[::-1], 1),
    "unbind": lambda x: torch.stack(x.unbind(1)[::-1], 1),
    "qkv": lambda x: torch.stack(x.view(1, 2, 4, 6, 10).permute(2, 0, 3, 1, 4).unbind(0)[:3], 2),
    "select": lambda x: x[:, 3],
    "negative select": lambda x: x[:, -1, :, -2],
    "stack": lambda x: torch.stack([x, x[:, :, :, :]], 1),
    "roll": lambda x: torch.roll(x, (-3, 2), (2, 3)),
    "flip": lambda x: x.flip(-1),
    "repeat": lambda x: x.repeat(1, 2, 1, 1),
    "tile": lambda x: x.flatten(1).tile(3),
    "shuffle": lambda x: x.view(1, 2, 4, 6, 10).transpose(1, 2).reshape(1, 8, 6, 10),
    "windows": lambda x: x.view(1, 8, 2, 3, 2, 5).permute(0, 2, 4, 3, 5, 1).reshape(4, 15, 8),
    "pixel unshuffle": lambda x: nn.functional.pixel_unshuffle(x, 2),
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_values_that_only_move(function: Callable[[Tensor], Tensor]) -> None:
    assert set(rewritten(function)) <= MOVES


NOTHING = {
    "dropout": nn.Dropout(0.3),
    "contiguous": lambda x: x.contiguous(memory_format=torch.contiguous_format),
    "clone": lambda x: x.clone(),
    "there and back": lambda x: x.permute(0, 2, 3, 1).permute(0, 3, 1, 2),
    "views": lambda x: x.flatten(1).view(1, 8, 60).view(1, 8, 6, 10),
    "squeezed": lambda x: x[None].squeeze(0),
    "whole slice": lambda x: x[:, 0:8, :10],
    "to": lambda x: x.to(torch.float32),
    "expand": lambda x: x.expand(1, -1, -1, -1),
}


@pytest.mark.parametrize("function", NOTHING.values(), ids=NOTHING)
def test_what_changes_nothing_goes(function: Callable[[Tensor], Tensor]) -> None:
    assert not rewritten(function)


def test_broadcasting_is_left_to_the_sum_or_product() -> None:
    gate = rewritten(lambda x: x * x.mean((2, 3), keepdim=True).expand_as(x))
    assert gate == {"mean": 1, "mul": 1}
    assert set(rewritten(lambda x: x.mean((2, 3), keepdim=True).expand_as(x))) == {"mean", "mul"}


def test_places_along_an_axis_are_a_product() -> None:
    places = torch.tensor([3, 0, 0, 7])
    assert set(rewritten(lambda x: x[:, places])) <= {"linear", "permute", "conv2d"}
    assert set(rewritten(lambda x: x.index_select(-1, places))) == {"linear"}
