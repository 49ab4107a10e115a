"""Training on a CPU without a fault of oneDNN.

The backward pass of oneDNN for a strided 1x1 convolution of fewer than 8 channels in channels-last layout writes beyond
its memory on CPUs with AVX2 and without AVX-512 (torch 2.13): gradients change from run to run, or the process dies.
Narrow networks, pruned ones above all, have such layers: the shortcuts of a ResNet.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

_FEWEST_CHANNELS = 8


@contextmanager
def sound_backward(module: nn.Module) -> Iterator[None]:
    """Within this context the backward pass of `module` is right on every CPU; without oneDNN, where it needs that."""
    switch: Any = torch.backends.mkldnn
    before = switch.enabled
    switch.enabled = before and not _hit(module)
    try:
        yield
    finally:
        switch.enabled = before


def _hit(module: nn.Module) -> bool:
    return any(
        isinstance(layer, nn.Conv2d)
        and layer.kernel_size == (1, 1)
        and max(layer.stride) > 1
        and layer.in_channels // layer.groups < _FEWEST_CHANNELS
        for layer in module.modules()
    )
