"""Resizing of activations."""

from collections.abc import Callable

import pytest
import torch.nn.functional as F
from rewriting import rewritten
from torch import Tensor

FUNCTIONS = {
    "nearest": lambda x: F.interpolate(x, scale_factor=2),
    "nearest, uneven": lambda x: F.interpolate(x, (9, 17)),
    "bicubic": lambda x: F.interpolate(x, (9, 17), mode="bicubic"),
    "bicubic by a factor": lambda x: F.interpolate(x, scale_factor=1.3, mode="bicubic"),
    "antialiased": lambda x: F.interpolate(x, (4, 7), mode="bilinear", antialias=True),
    "adaptive": lambda x: F.adaptive_avg_pool2d(x, (4, 7)),
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_resizing_is_two_products_with_fixed_matrices(function: Callable[[Tensor], Tensor]) -> None:
    assert set(rewritten(function)) <= {"linear", "permute", "conv_transpose2d"}


def test_whole_factors_are_a_transposed_convolution() -> None:
    assert rewritten(lambda x: F.interpolate(x, scale_factor=3)) == {"conv_transpose2d": 1}


def test_bilinear_is_xnnpacks_own() -> None:
    resize = rewritten(lambda x: F.interpolate(x, (9, 17), mode="bilinear"))
    assert resize == {"upsample_bilinear2d": 1}
    assert not rewritten(lambda x: F.interpolate(x, (6, 10), mode="bicubic"))
