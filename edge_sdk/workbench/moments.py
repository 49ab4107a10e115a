"""Second moments of what a layer's weights are multiplied with, and of what its outputs lack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.fx import Node
from torch.nn import functional

from edge_sdk.workbench.rewrites.editor import argument, pair

_ROWS = 16384  # input rows of a layer; more change nothing


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Around the means, since the layer's bias answers for these.

    Attributes:
        covariance: `float64 (groups, in, in)` of the inputs; outputs of a group share one.
        cross: `float64 (groups, out / groups, in)`, of what the outputs lack with the inputs.
        mean_in: `float64 (groups, in)`.
        mean_out: `float64 (groups, out / groups)`.
    """

    covariance: torch.Tensor
    cross: torch.Tensor
    mean_in: torch.Tensor
    mean_out: torch.Tensor

    @classmethod
    def average(cls, parts: Sequence[Moments]) -> Moments:
        """Of several sets of pictures taken together, each of which counts the same."""
        mean_in, mean_out = _mean([part.mean_in for part in parts]), _mean([part.mean_out for part in parts])
        beside = [(part.mean_in - mean_in, part.mean_out - mean_out) for part in parts]
        return cls(
            _mean([part.covariance + _product(off, off) for part, (off, _) in zip(parts, beside, strict=True)]),
            _mean([part.cross + _product(out, off) for part, (off, out) in zip(parts, beside, strict=True)]),
            mean_in,
            mean_out,
        )


def moments(
    node: Node, inputs: Sequence[torch.Tensor], lacking: Sequence[torch.Tensor], weight: torch.Tensor
) -> Moments:
    """Moments of a convolution or linear layer.

    Args:
        node: of the captured network.
        inputs: of the layer, one a picture.
        lacking: what its outputs are to gain, one a picture.
        weight: of the layer, for its shape.
    """
    share = -(-_ROWS // len(inputs))
    covariance = cross = mean_in = mean_out = torch.zeros(())
    count = 0
    for number, (value, lack) in enumerate(zip(inputs, lacking, strict=True)):
        rows, wanted = _rows(node, value, weight), _outputs(lack, weight)
        wanted = wanted.reshape(len(rows), -1, wanted.shape[1]).transpose(1, 2)  # (groups, rows, out / groups)
        if rows.shape[1] > share:
            picked = torch.randperm(rows.shape[1], generator=torch.Generator().manual_seed(number))[:share]
            rows, wanted = rows[:, picked], wanted[:, picked]
        rows, wanted = rows.double(), wanted.double()
        covariance, cross = covariance + rows.transpose(1, 2) @ rows, cross + wanted.transpose(1, 2) @ rows
        mean_in, mean_out, count = mean_in + rows.sum(1), mean_out + wanted.sum(1), count + rows.shape[1]
    mean_in, mean_out = mean_in / count, mean_out / count
    return Moments(
        covariance / count - _product(mean_in, mean_in), cross / count - _product(mean_out, mean_in), mean_in, mean_out
    )


def _mean(values: Sequence[torch.Tensor]) -> torch.Tensor:
    return torch.stack(tuple(values)).mean(0)


def _product(rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    return rows[:, :, None] * columns[:, None]


def _outputs(value: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """`(out, rows)`."""
    return value.reshape(-1, value.shape[-1]).T if weight.dim() == 2 else value[0].flatten(1)


def _rows(node: Node, value: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """`(groups, rows, in)`."""
    if weight.dim() == 2:
        return value.reshape(1, -1, value.shape[-1])
    stride, padding, dilation, groups = _geometry(node)
    if isinstance(padding, str):
        reach = [
            step * (size - 1) if padding == "same" else 0 for step, size in zip(dilation, weight.shape[2:], strict=True)
        ]
        value = functional.pad(
            value, (reach[1] // 2, reach[1] - reach[1] // 2, reach[0] // 2, reach[0] - reach[0] // 2)
        )
        padding = (0, 0)
    if weight.shape[2:] == (1, 1) and padding == (0, 0):
        patches = value[:, :, :: stride[0], :: stride[1]].flatten(2)
    else:
        patches = functional.unfold(value, tuple(weight.shape[2:]), dilation, padding, stride)
    return patches[0].view(groups, -1, patches.shape[-1]).transpose(1, 2)


def _geometry(node: Node) -> tuple[tuple[int, ...], Any, tuple[int, ...], int]:
    """Stride, padding (a word, or as the others), dilation and groups of a convolution in two dimensions."""
    padding = argument(node, 4, "padding", 0)
    return (
        tuple(pair(argument(node, 3, "stride", 1))),
        padding if isinstance(padding, str) else tuple(pair(padding)),
        tuple(pair(argument(node, 5, "dilation", 1))),
        argument(node, 6, "groups", 1),
    )
