"""Rounding of weights to int8 with the inputs in view: each weight's error is made up for by those not yet rounded.

Nearest rounding of each weight alone is not nearest for the layer's outputs. GPTQ (Frantar et al., arXiv 2210.17323)
rounds the weights of an output one after another and moves the rest so that the outputs change least on the inputs of
calibration pictures. Inputs are taken around their mean, since the layer's bias answers for the mean
(`edge_sdk.workbench.bias_correction`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch.fx import Node
from torch.nn import functional

from edge_sdk.workbench.rewrites.editor import argument, pair
from edge_sdk.workbench.specialize.sparse import LEVELS, Grid, quantize
from edge_sdk.workbench.walk import attribute

_ROWS = 16384  # input rows of a layer; more change nothing
_DAMPING = 0.01  # GPTQ, section 3.3


def round_layer(
    network: Any, node: Node, weight: torch.Tensor, inputs: Sequence[torch.Tensor], values: Sequence[torch.Tensor]
) -> None:
    """Round the weight of one int8 layer of a converted network anew; a layer in float32 is left as it is.

    Args:
        network: converted; its int8 weight is changed.
        node: the layer, a convolution or linear.
        weight: its float weight.
        inputs: of the layer, one a picture.
        values: its outputs, which are changed to what the new weight gives.
    """
    dequantised = node.args[1]
    if not isinstance(dequantised, Node) or "dequantize_per_channel" not in str(dequantised.target):
        return
    codes, scales, axis = (cast(Any, dequantised.args[place]) for place in (0, 1, 3))
    if axis != 0 or weight.dim() not in (2, 4) or "transpose" in str(node.target) or len(codes.users) != 1:
        return
    scale = attribute(network, scales)
    new = round_weight(weight.detach().flatten(1), scale, covariances(node, inputs, weight)).view(weight.shape)
    old = attribute(network, codes)
    change = (new.float() - old.float()) * scale.view(-1, *[1] * (weight.dim() - 1))
    old.data.copy_(new)
    for value, given in zip(values, inputs, strict=True):
        value += node.target(given, change, None, *node.args[3:], **_without_bias(node))  # type: ignore[operator]


def round_weight(weight: torch.Tensor, scale: torch.Tensor, covariances: torch.Tensor) -> torch.Tensor:
    """Round a layer's weight to multiples of `scale`.

    Args:
        weight: floats `(out, in)`.
        scale: floats `(out,)`, one step for each output.
        covariances: `float64 (groups, in, in)` of the inputs; outputs of a group share one.

    Returns:
        `int8 (out, in)`, from -127 to 127.
    """
    groups, width = len(covariances), weight.shape[1]
    damped = covariances.clone()
    diagonal = damped.diagonal(dim1=1, dim2=2)
    diagonal += _DAMPING * diagonal.mean(1, keepdim=True)
    diagonal[diagonal == 0] = 1.0
    if groups == 1:
        return Grid(scale).codes(quantize(weight, damped[0], grid=Grid(scale))).to(torch.int8)
    return _sweep(weight.double().view(groups, -1, width), damped, scale.double().view(groups, -1)).view(-1, width)


def _sweep(weight: torch.Tensor, hessians: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """The sweep of `quantize` over many small groups at once: `(groups, out, in)` weights, `(groups, out)` steps."""
    upper = torch.linalg.cholesky(torch.linalg.inv(hessians), upper=True)
    work, codes = weight.clone(), torch.empty_like(weight)
    for place in range(weight.shape[2]):
        codes[:, :, place] = (work[:, :, place] / scale).round().clamp(-LEVELS, LEVELS)
        wrong = (work[:, :, place] - codes[:, :, place] * scale) / upper[:, place, place, None]
        work[:, :, place + 1 :] -= wrong[:, :, None] * upper[:, None, place, place + 1 :]
    return codes.to(torch.int8)


def covariances(node: Node, inputs: Sequence[torch.Tensor], weight: torch.Tensor) -> torch.Tensor:
    """Covariances of what a convolution's or linear layer's weights are multiplied with, `float64 (groups, in, in)`.

    Args:
        node: of the captured network.
        inputs: of the layer, one a picture.
        weight: of the layer, for its shape.
    """
    share = -(-_ROWS // len(inputs))
    squares: list[torch.Tensor] = []
    sums: list[torch.Tensor] = []
    count = 0
    for number, value in enumerate(inputs):
        rows = _rows(node, value, weight)  # (groups, rows, in)
        if rows.shape[1] > share:
            generator = torch.Generator().manual_seed(number)
            rows = rows[:, torch.randperm(rows.shape[1], generator=generator)[:share]]
        rows = rows.double()
        squares = [sum(squares, rows.transpose(1, 2) @ rows)]
        sums = [sum(sums, rows.sum(1))]
        count += rows.shape[1]
    mean = sums[0] / count
    return squares[0] / count - mean[:, :, None] * mean[:, None]


def _rows(node: Node, value: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
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


def _without_bias(node: Node) -> dict[str, Any]:
    return {name: value for name, value in node.kwargs.items() if name != "bias"}


def _geometry(node: Node) -> tuple[tuple[int, ...], Any, tuple[int, ...], int]:
    """Stride, padding (a word, or as the others), dilation and groups of a convolution in two dimensions."""
    padding = argument(node, 4, "padding", 0)
    return (
        tuple(pair(argument(node, 3, "stride", 1))),
        padding if isinstance(padding, str) else tuple(pair(padding)),
        tuple(pair(argument(node, 5, "dilation", 1))),
        argument(node, 6, "groups", 1),
    )
