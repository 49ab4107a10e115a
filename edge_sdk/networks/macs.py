"""Counts of multiply-accumulates and weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count


def _attention(query: tuple[int, ...], key: tuple[int, ...], value: tuple[int, ...], *_: Any, **__: Any) -> int:
    return int(sdpa_flop_count(query, key, value))  # type: ignore[no-untyped-call]


_MISSING: dict[Any, Any] = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention}
"""The CPU's fused attention, which torch's counter leaves out."""


def count_macs(module: nn.Module, width: int, height: int) -> int:
    """Multiply-accumulates of one forward pass on one picture.

    Counted by torch's own counter (`torch.utils.flop_counter`), which sees convolutions, matrix products and attention
    as they are dispatched and reports two operations for each multiply-accumulate; its figure is halved. Element-wise
    work (activations, normalisation) is not counted, as is usual.

    Args:
        module: takes `float32 (1, 3, height, width)`.
        width: of the input, pixels.
        height: of the input, pixels.
    """
    parameter = next(module.parameters(), None)
    device = torch.device("cpu") if parameter is None else parameter.device
    training = module.training
    module.eval()
    try:
        with torch.inference_mode(), FlopCounterMode(display=False, custom_mapping=_MISSING) as counter:
            module(torch.zeros(1, 3, height, width, device=device))
    finally:
        module.train(training)
    return int(counter.get_total_flops()) // 2


def count_parameters(module: nn.Module) -> int:
    """Number of weights."""
    return sum(parameter.numel() for parameter in module.parameters())
