"""Norms written out."""

from collections.abc import Callable

import pytest
import torch.nn.functional as F
from rewriting import Of, rewritten
from torch import Tensor, nn

from edge_sdk.networks.timm_library import import_timm

INSIDE = {"sub", "mul", "add", "rsqrt", "sqrt", "linear", "conv2d", "mean", "view_copy", "permute", "div", "hardtanh"}


def test_layer_norm_of_tokens_is_two_products_with_a_row() -> None:
    found = rewritten(nn.LayerNorm(16), 12, 16)
    assert found == {"linear": 2, "sub": 1, "mul": 3, "add": 2, "rsqrt": 1}


def test_layer_norm_over_several_axes() -> None:
    assert set(rewritten(nn.LayerNorm((6, 10)))) <= INSIDE


def test_layer_norm_of_channels_needs_no_transposition() -> None:
    import_timm()
    from timm.layers.norm import LayerNorm2d

    found = rewritten(LayerNorm2d(8))
    assert found == {"conv2d": 2, "sub": 1, "mul": 3, "add": 2, "rsqrt": 1}


@pytest.mark.parametrize("groups", [1, 2, 8])
def test_group_norm(groups: int) -> None:
    assert set(rewritten(nn.GroupNorm(groups, 8))) <= INSIDE - {"permute", "linear"}


def test_instance_and_rms_norm() -> None:
    assert set(rewritten(nn.InstanceNorm2d(8, affine=True))) <= INSIDE
    assert set(rewritten(nn.RMSNorm(10))) <= INSIDE


LENGTHS = {
    "vectors": lambda x: F.normalize(x, dim=-1),
    "pictures": lambda x: x / x.norm(2, (2, 3), keepdim=True),
    "variance": lambda x: x.var((2, 3), keepdim=True),
    "deviation": lambda x: x.std(1, keepdim=True, unbiased=False),
}


@pytest.mark.parametrize("function", LENGTHS.values(), ids=LENGTHS)
def test_lengths_and_variances(function: Callable[[Tensor], Tensor]) -> None:
    assert set(rewritten(function)) <= INSIDE | {"maximum", "clamp", "avg_pool2d"}


def test_weights_of_a_norm_that_the_network_computes() -> None:
    norm = nn.LayerNorm(10, bias=False)
    assert "layer_norm" not in rewritten(Of(lambda self, x: self.norm(x) * self.norm.weight, norm=norm))
