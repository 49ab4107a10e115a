"""Averages and pools."""

from collections.abc import Callable

import pytest
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from rewriting import rewritten
from torch import Tensor

TAKEN = {"mean", "avg_pool2d", "max_pool2d", "conv2d", "linear", "view_copy", "permute", "mul", "cat"}
MEANS = {
    "picture": lambda x: x.mean((2, 3)),
    "kept": lambda x: x.mean((-1, -2), keepdim=True),
    "rows": lambda x: x.mean(2),
    "columns": lambda x: x.mean(-1, keepdim=True),
    "channels": lambda x: x.mean(1, keepdim=True),
    "channels last": lambda x: x.permute(0, 2, 3, 1).mean((1, 2), keepdim=True),
    "tokens": lambda x: x.flatten(2).transpose(1, 2).mean(1),
    "last": lambda x: x.flatten(2).mean(-1),
    "all of it": lambda x: x.mean((1, 2, 3)),
    "everything": lambda x: x.mean(),
    "sum": lambda x: x.sum((2, 3)),
    "adaptive": lambda x: F.adaptive_avg_pool2d(x, 1).flatten(1),
    "adaptive to parts": lambda x: F.adaptive_avg_pool2d(x, (3, 5)),
    "maximum": lambda x: x.amax((2, 3)),
    "adaptive maximum": lambda x: F.adaptive_max_pool2d(x, 1),
}


@pytest.mark.parametrize("function", MEANS.values(), ids=MEANS)
def test_means_and_pools(function: Callable[[Tensor], Tensor]) -> None:
    assert set(rewritten(function)) <= TAKEN


def test_the_usual_end_of_a_network_is_one_mean() -> None:
    assert rewritten(lambda x: F.adaptive_avg_pool2d(x, 1)) == {"mean": 1}


def test_ceil_mode_goes_where_the_sizes_divide() -> None:
    assert rewritten(lambda x: F.avg_pool2d(x, 2, 2, ceil_mode=True, count_include_pad=False)) == {"avg_pool2d": 1}


@settings(max_examples=25, deadline=None)
@given(
    st.integers(2, 4), st.integers(1, 3), st.integers(0, 1), st.booleans(), st.booleans(), st.sampled_from([None, 3])
)
def test_average_pools_of_any_kind(
    window: int, stride: int, padding: int, ceil: bool, counted: bool, divisor: int | None
) -> None:
    def pool(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, window, stride, padding, ceil, counted, divisor)

    assert set(rewritten(pool, 2, 7, 9)) <= {"avg_pool2d", "cat", "mul"}
