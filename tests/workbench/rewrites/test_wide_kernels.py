"""Depthwise convolutions with wide kernels."""

import pytest
from rewriting import rewritten
from torch import nn


@pytest.mark.parametrize(
    ("kernel", "padding", "stride", "parts"),
    [
        ((7, 7), (3, 3), 1, 4),
        ((7, 7), (3, 3), 2, 4),
        ((7, 7), (2, 1), 2, 4),
        ((9, 9), (4, 4), 1, 4),
        ((1, 31), (0, 15), 1, 2),
        ((9, 5), (4, 2), 1, 2),
        ((5, 5), (2, 2), 1, 1),  # not wide
        ((11, 11), (5, 5), 1, 1),  # of four parts, one has 36 weights
        ((7, 7), (0, 0), 1, 1),  # parts would cut the picture
        ((6, 6), (3, 3), 1, 1),  # parts would need more padding on one side
    ],
)
def test_a_wide_kernel_is_the_sum_of_its_parts(
    kernel: tuple[int, int], padding: tuple[int, int], stride: int, parts: int
) -> None:
    layer = nn.Conv2d(8, 8, kernel, stride, padding, groups=8)
    assert rewritten(layer, 8, 12, 14) == {"conv2d": parts} | ({"add": parts - 1} if parts > 1 else {})


def test_a_batch_norm_behind_it_becomes_part_of_it_first() -> None:
    layer = nn.Sequential(nn.Conv2d(8, 8, 7, padding=3, groups=8, bias=False), nn.BatchNorm2d(8)).eval()
    assert rewritten(layer, 8, 12, 14) == {"conv2d": 4, "add": 3}


def test_others_stay() -> None:
    assert rewritten(nn.Conv2d(8, 16, 7, padding=3, groups=8)) == {"conv2d": 1}
    assert rewritten(nn.Conv2d(8, 8, 7, padding=3)) == {"conv2d": 1}
    assert rewritten(nn.Conv2d(8, 8, 7, padding=6, dilation=2, groups=8)) == {"conv2d": 1}
