"""Depthwise convolutions with wide kernels, as sums of dilated ones that XNNPACK has kernels for.

XNNPACK's depthwise kernels take up to 25 weights a channel; a wider one runs as one convolution a channel, at 7x7
eleven times slower than 5x5. Every second row and column of a 7x7 kernel is a 4x4, 4x3, 3x4 or 3x3 one with dilation 2;
the four together are the whole, and each takes the padding that it needs on both sides alike.
"""

from __future__ import annotations

import math
from functools import reduce
from typing import Any

import torch

from edge_sdk.workbench.rewrites.editor import Editor, Operator, argument, is_call, pair, shape

_ATEN = torch.ops.aten
_MOST = 25  # weights a channel
_STEPS = ((1, 2), (2, 1), (2, 2))  # between the rows and columns of one part, fewest parts first


def split_wide_kernels(editor: Editor) -> None:
    """Split all wide depthwise kernels; after the other rewrites, which merge what follows a convolution into it."""
    for node in list(editor.graph.nodes):
        if is_call(node, _ATEN.conv2d.default):
            with editor.at(node):
                new = _parts(editor, node)
            if new is not None:
                node.replace_all_uses_with(new)
                editor.graph.erase_node(node)


def _parts(editor: Editor, node: Operator) -> Operator:
    """The sum of a convolution's parts; None where it is not depthwise, not wide, or has no such parts."""
    weight = editor.tensor(node.args[1])
    if weight is None or not weight[0, 0].numel() > _MOST or weight.shape[1] != 1:
        return None
    x, channels = node.args[0], shape(node.args[0])[1]
    stride, padding, dilation = (
        pair(argument(node, place, name, default))
        for place, name, default in ((3, "stride", 1), (4, "padding", 0), (5, "dilation", 1))
    )
    steps = _steps(weight, padding)
    if steps is None or dilation != [1, 1] or not channels == weight.shape[0] == argument(node, 6, "groups", 1):
        return None
    parts: list[Any] = []
    for row in range(steps[0]):
        for column in range(steps[1]):
            kernel = editor.constant(weight[:, :, row :: steps[0], column :: steps[1]])
            around = [padding[0] - row, padding[1] - column]
            bias = None if parts else argument(node, 2, "bias")
            parts.append(editor.call(_ATEN.conv2d.default, x, kernel, bias, stride, around, list(steps), channels))
    return reduce(lambda one, other: editor.call(_ATEN.add.Tensor, one, other), parts)


def _steps(weight: torch.Tensor, padding: list[int]) -> tuple[int, int] | None:
    sizes = weight.shape[2:]
    for steps in _STEPS:
        few = math.prod(math.ceil(size / step) for size, step in zip(sizes, steps, strict=True)) <= _MOST
        if few and all(
            step == 1 or (size % 2 and around) for size, step, around in zip(sizes, steps, padding, strict=True)
        ):
            return steps
    return None
