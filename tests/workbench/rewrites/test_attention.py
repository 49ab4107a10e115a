"""Attention and products of activations."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from rewriting import Of, rewritten
from torch import Tensor, nn

TAKEN = {"bmm", "softmax", "view_copy", "permute", "mul", "add", "linear", "slice"}
MASK = torch.rand(6, 6) > 0.3


def heads(x: Tensor) -> Tensor:
    return x.view(1, -1, 2, 5).transpose(1, 2)


ATTENTIONS = {
    "plain": lambda x: F.scaled_dot_product_attention(heads(x), heads(x), heads(x)),
    "scaled": lambda x: F.scaled_dot_product_attention(heads(x), heads(x), heads(x), scale=0.3),
    "biased": lambda x: F.scaled_dot_product_attention(heads(x), heads(x), heads(x), MASK.float()),
    "masked": lambda x: F.scaled_dot_product_attention(heads(x), heads(x), heads(x), MASK),
    "fewer keys": lambda x: F.scaled_dot_product_attention(heads(x), heads(x)[:, :, :4], heads(x)[:, :, :4]),
    "by hand": lambda x: (heads(x) @ heads(x).transpose(-2, -1) * 0.4).softmax(-1) @ heads(x),
    "over columns": lambda x: (heads(x) @ heads(x).transpose(-2, -1)).softmax(-2) @ heads(x),
    "broadcast": lambda x: heads(x) @ x[:, None, :5, :6],
    "einsum": lambda x: torch.einsum("bhid,bhjd->bhij", heads(x), heads(x)),
}


@pytest.mark.parametrize("function", ATTENTIONS.values(), ids=ATTENTIONS)
def test_attention(function: Callable[[Tensor], Tensor]) -> None:
    assert set(rewritten(function, 6, 10)) <= TAKEN


def test_a_product_with_a_constant_is_a_linear_layer() -> None:
    network = Of(lambda self, x: x @ self.layer.weight, layer=nn.Linear(4, 10))
    assert rewritten(network, 6, 10) == {"linear": 1}


def test_torchs_own_multi_head_attention() -> None:
    network = Of(lambda self, x: self.attend(x, x, x)[0], attend=nn.MultiheadAttention(10, 2, batch_first=True))
    assert set(rewritten(network, 6, 10)) <= TAKEN
