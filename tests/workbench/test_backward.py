"""Gradients of narrow networks are the same on every run and on every CPU."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from edge_sdk.workbench.backward import sound_backward

NARROW = """
import torch
from edge_sdk.workbench.backward import sound_backward
torch.manual_seed(0)
layer = torch.nn.Conv2d(4, 8, 1, 2, bias=False).to(memory_format=torch.channels_last)
x = torch.randn(8, 4, 16, 16).to(memory_format=torch.channels_last).requires_grad_(True)
found = []
with sound_backward(layer):
    for _ in range(200):
        layer.zero_grad()
        layer(x).square().mean().backward()
        found.append(layer.weight.grad.clone())
assert all(torch.equal(found[0], one) for one in found)
"""


def test_a_narrow_shortcut_trains_without_a_fault() -> None:
    subprocess.run([sys.executable, "-W", "ignore", "-c", NARROW], check=True, timeout=120)


@pytest.mark.parametrize(
    ("layer", "stays"),
    [
        (nn.Conv2d(4, 8, 1, 2), False),
        (nn.Conv2d(8, 8, 1, 2, groups=2), False),
        (nn.Conv2d(8, 8, 1, 2), True),
        (nn.Conv2d(4, 8, 1), True),
        (nn.Conv2d(3, 8, 3, 2), True),
    ],
)
def test_one_dnn_stays_where_it_is_right(layer: nn.Module, stays: bool) -> None:
    before = torch.backends.mkldnn.enabled
    with sound_backward(nn.Sequential(layer)):
        assert torch.backends.mkldnn.enabled == (before and stays)
    assert torch.backends.mkldnn.enabled == before
