"""Branches that are one layer."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from rewriting import Of, rewritten
from torch import nn

from edge_sdk.networks.timm_library import import_timm
from edge_sdk.workbench.rewrites.branches import regrouped


class Branches(nn.Module):
    """A RepVGG block: 3x3, 1x1 and the input itself, each with a batch norm."""

    def __init__(self, groups: int, stride: int = 1) -> None:
        super().__init__()
        self.large = nn.Sequential(nn.Conv2d(8, 8, 3, stride, 1, groups=groups, bias=False), nn.BatchNorm2d(8))
        self.small = nn.Sequential(nn.Conv2d(8, 8, 1, stride, groups=groups, bias=False), nn.BatchNorm2d(8))
        self.itself = nn.BatchNorm2d(8) if stride == 1 else None

    def forward(self, x: torch.Tensor) -> Any:
        y = self.large(x) + self.small(x)
        return F.relu(y if self.itself is None else y + self.itself(x))


@pytest.mark.parametrize("groups", [1, 2, 8])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_repvgg_block_is_one_convolution(groups: int, stride: int) -> None:
    assert rewritten(Branches(groups, stride)) == {"conv2d": 1, "relu": 1}


@pytest.mark.parametrize("name", ["MobileOneBlock", "RepVggBlock"])
def test_timms_blocks_are_one_convolution(name: str) -> None:
    import_timm()
    from timm.models import byobnet

    block = getattr(byobnet, name)(8, 8)
    assert rewritten(block) == {"conv2d": 1, "relu": 1}


def test_branches_that_do_not_fit_stay() -> None:
    strides = Of(lambda self, x: self.a(x) + self.b(x)[:, :, :3, :5], a=nn.Conv2d(8, 8, 1, 2), b=nn.Conv2d(8, 8, 1))
    assert rewritten(strides)["conv2d"] >= 1
    places = Of(
        lambda self, x: self.a(x) + self.b(x),
        a=nn.Conv2d(8, 8, 3, padding=1),
        b=nn.Conv2d(8, 8, (1, 5), padding=(0, 2)),
    )
    assert rewritten(places) == {"conv2d": 2, "add": 1}


def test_differences_and_factors() -> None:
    parts = {"a": nn.Conv2d(8, 8, 3, padding=1), "b": nn.Conv2d(8, 8, 1)}
    assert rewritten(Of(lambda self, x: self.b(x) - self.a(x), **parts)) == {"conv2d": 1}
    scale = torch.rand(8, 1, 1)
    assert rewritten(Of(lambda self, x: 0.5 * (self.a(x) * scale), **parts)) == {"conv2d": 1}
    assert rewritten(Of(lambda self, x: self.layer(x) * torch.arange(4.0), layer=nn.Linear(10, 4))) == {"linear": 1}


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.sampled_from([1, 3]))
def test_fewer_groups_compute_the_same(wanted: int, together: int, each: int, own: int, kernel: int) -> None:
    groups = wanted * together
    weight, x = torch.randn(groups * each, own, kernel, kernel), torch.randn(2, groups * own, 4, 4)
    torch.testing.assert_close(
        F.conv2d(x, regrouped(weight, groups, wanted), groups=wanted), F.conv2d(x, weight, groups=groups)
    )
