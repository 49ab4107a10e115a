"""Slices with a step, padded channels."""

from collections import Counter
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from rewriting import Of, rewritten
from torch import Tensor, nn

CHANNELS = {
    "pad": lambda x: F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 4, 4)),
    "uneven": lambda x: F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 6)),
    "zeros behind": lambda x: torch.cat([x[:, :, ::2, ::2], torch.zeros_like(x[:, :, ::2, ::2])], 1),
    "zeros around": lambda x: torch.cat([torch.zeros(1, 3, 3, 5), x[:, :, ::2, ::2], x.new_zeros(1, 5, 3, 5)], 1),
    "times nought": lambda x: torch.cat((x[..., ::2, ::2], x[..., ::2, ::2].mul(0)), 1),
    "one by one": lambda x: F.pad(F.avg_pool2d(x, 1, 2), (0, 0, 0, 0, 0, 8)),
    "channels alone": lambda x: F.pad(x, (0, 0, 0, 0, 2, 2)),
}


@pytest.mark.parametrize("function", CHANNELS.values(), ids=CHANNELS)
def test_a_shortcut_of_option_a_is_one_convolution(function: Callable[[Tensor], Tensor]) -> None:
    assert rewritten(function) == Counter({"conv2d": 1})


def test_an_average_pool_before_the_padding_stays_a_pool() -> None:
    assert rewritten(lambda x: F.pad(F.avg_pool2d(x, 2), (0, 0, 0, 0, 4, 4))) == Counter({"avg_pool2d": 1, "conv2d": 1})


SLICES = {
    "both": lambda x: x[:, :, ::2, ::2],
    "from one": lambda x: x[:, :, 1::2, 1::2],
    "by three": lambda x: x[:, :, ::3, 1::3],
    "inside": lambda x: x[:, :, 1:5:2, 2:-1:2],
    "pool": lambda x: F.max_pool2d(x, 1, 2),
}


@pytest.mark.parametrize("function", SLICES.values(), ids=SLICES)
def test_a_slice_with_a_step_is_a_depthwise_convolution(function: Callable[[Tensor], Tensor]) -> None:
    found = rewritten(function)
    assert set(found) <= {"conv2d", "slice"} and found["conv2d"] == 1


@pytest.mark.parametrize("step", [2, 3, 5])
def test_a_step_along_anything_else_is_a_view_and_a_slice(step: int) -> None:
    assert rewritten(lambda x: x[:, 1::step]) == {"conv2d": 1}
    assert set(rewritten(lambda x: x[:, 1::step], 7, 4)) <= {"slice", "view_copy", "cat"}


KERNEL = torch.randn(4, 8, 3, 3)
POOL = {"slice", "cat", "max_pool2d"}
PADS = {
    "nothing": (lambda x: F.pad(x, (0, 0, 0, 0)), set()),
    "same": (lambda x: F.pad(x, (0, 1, 0, 1)), {"cat"}),
    "before a convolution": (lambda x: F.conv2d(F.pad(x, (0, 1, 0, 1)), KERNEL), {"constant_pad_nd", "conv2d"}),
    "before a pool": (
        lambda x: F.max_pool2d(F.pad(x, (0, 1, 1, 1), value=-torch.inf), 3, 2),
        {"slice", "cat", "max_pool2d"},
    ),
    "values": (lambda x: F.pad(x, (0, 1, 0, 1), value=3.0), {"cat"}),
    "inwards": (lambda x: F.pad(x, (-1, -2, 0, -1)), {"slice"}),
    "in and out": (lambda x: F.pad(x, (-1, 2)), {"slice", "cat"}),
    "everywhere": (lambda x: F.pad(x, (1, 0, 0, 1, 2, 2)), {"constant_pad_nd", "conv2d"}),
    "reflected": (lambda x: F.pad(x, (2, 1, 1, 2), mode="reflect"), {"slice", "cat"}),
    "replicated": (lambda x: F.pad(x, (2, 1, 1, 2), mode="replicate"), {"slice", "cat"}),
    "circular": (lambda x: F.pad(x, (2, 1, 1, 2), mode="circular"), {"slice", "cat"}),
}


@pytest.mark.parametrize("function,left", PADS.values(), ids=PADS)
def test_padding(function: Callable[[Tensor], Tensor], left: set[str]) -> None:
    assert set(rewritten(function)) == left


def test_a_convolution_before_the_slice_is_not_taken_for_a_fixed_one() -> None:
    assert rewritten(Of(lambda self, x: self.conv(x)[:, :, ::2, ::2], conv=nn.Conv2d(8, 8, 3))).total() == 2
