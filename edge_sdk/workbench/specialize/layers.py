"""Inputs of linear layers and convolutions, as rows of the matrix that multiplies their weight."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

MAX_ROWS = 1 << 13
"""Largest number of positions used of one layer; a seeded choice of them if it has more."""


class _Reached(Exception):
    """Stops the forward pass: the inputs of all requested layers have been seen."""


def flat_weight(layer: nn.Module) -> Tensor:
    """The weight as `(outputs, inputs * kernel)`, float64, a copy."""
    weight: Any = layer.weight
    flat: Tensor = weight.detach().flatten(1).double()
    return flat


def set_weight(layer: nn.Module, flat: Tensor, bias: Tensor | None = None) -> None:
    """Write back a changed `flat_weight`, and optionally a bias `(outputs,)`."""
    own: Any = layer
    with torch.no_grad():
        own.weight.copy_(flat.view_as(own.weight))
        if bias is not None:
            own.bias.copy_(bias)


def rows_of(layer: nn.Module, inputs: Tensor) -> Tensor:
    """One row for each product with the weight: `float (positions, inputs * kernel)` in the order of `flat_weight`."""
    if not isinstance(layer, nn.Conv2d):
        return inputs.flatten(0, -2)
    if type(layer).__name__ == "Conv2dSame":
        inputs = import_module("timm.layers").pad_same(
            inputs, list(layer.kernel_size), list(layer.stride), list(layer.dilation)
        )
    padding: Any = layer.padding if type(layer).__name__ != "Conv2dSame" else (0, 0)
    patches = functional.unfold(inputs, layer.kernel_size, layer.dilation, padding, layer.stride)
    return patches.transpose(1, 2).flatten(0, 1)


def some_rows(layer: nn.Module, inputs: Tensor, number: int, batches: int, seed: int) -> Tensor:
    """As `rows_of`, limited to this batch's part of `MAX_ROWS`; equal shapes give the same choice of rows."""
    pointwise = _is_pointwise(layer)
    rows = None if pointwise else rows_of(layer, inputs)
    total = inputs.numel() // inputs.shape[1] if rows is None else len(rows)
    chosen = chosen_rows(total, MAX_ROWS / (total * batches), seed + number)
    if chosen is None:
        return rows_of(layer, inputs) if rows is None else rows
    if rows is None:  # without a copy of all
        at = inputs.flatten(2)
        return at[chosen // at.shape[2], :, chosen % at.shape[2]]
    return rows[chosen]


def _is_pointwise(layer: nn.Module) -> bool:
    """Whether each position of the input is a row as it stands."""
    return (
        isinstance(layer, nn.Conv2d)
        and layer.kernel_size == (1, 1)
        and layer.stride == (1, 1)
        and layer.padding in ((0, 0), 0)
    )


def chosen_rows(total: int, share: float, seed: int) -> Tensor | None:
    """Which of the rows to use, so that about `share` of them are: None for all."""
    if share >= 1:
        return None
    generator = torch.Generator().manual_seed(seed)
    return torch.randperm(total, generator=generator)[: max(1, round(total * share))]


@contextmanager
def watching(module: nn.Module, names: Sequence[str], see: Callable[[str, Tensor], None]) -> Iterator[None]:
    """Within this context `see(name, inputs)` is called before each forward pass of the named layers."""
    hooks = []
    for name in names:
        layer = module.get_submodule(name)

        def hook(_: nn.Module, inputs: tuple[Tensor, ...], name: str = name) -> None:
            see(name, inputs[0])

        hooks.append(layer.register_forward_pre_hook(hook))
    try:
        yield
    finally:
        for one in hooks:
            one.remove()


def fed(module: nn.Module, names: Sequence[str], batch: Tensor) -> dict[str, Tensor]:
    """Inputs of the named layers when the network runs on a batch; the run stops once all have been seen."""
    seen: dict[str, Tensor] = {}

    def see(name: str, inputs: Tensor) -> None:
        seen[name] = inputs
        if len(seen) == len(names):
            raise _Reached

    with torch.inference_mode(), watching(module, names, see), suppress(_Reached):
        module(batch)
    return seen


def forward_order(module: nn.Module, names: Sequence[str], batch: Tensor) -> list[str]:
    """The named layers in the order in which they run."""
    order: list[str] = []
    with torch.inference_mode(), watching(module, names, lambda name, _: order.append(name)):
        module(batch)
    return list(dict.fromkeys(order))
