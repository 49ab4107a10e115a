"""Layers over the last axis of a picture turned to channels-last, as 1x1 convolutions of the picture itself.

XNNPACK keeps pictures in channels-last memory. `x.permute(0, 2, 3, 1)` would turn them around in memory, and back after
the linear layer; a 1x1 convolution is the same product without either. The permutation moves down the graph until it
meets its inverse.
"""

from __future__ import annotations

from typing import Any

import torch

from edge_sdk.workbench.rewrites.editor import Editor, Operator, Rule, argument, is_call, shape
from edge_sdk.workbench.rewrites.layout import permute

_ATEN = torch.ops.aten
_NHWC = [0, 2, 3, 1]


def _picture(node: Operator) -> Operator:
    """The picture that `node` is in channels-last."""
    if is_call(node, _ATEN.permute.default) and [axis % 4 for axis in node.args[1]] == _NHWC and len(shape(node)) == 4:
        return node.args[0]
    return None


def linear(editor: Editor, node: Operator) -> Operator:
    """A linear layer of a turned picture."""
    x, weight = _picture(node.args[0]), editor.tensor(node.args[1])
    if x is None or weight is None:
        return None
    kernel = editor.constant(weight[:, :, None, None])
    return permute(editor, editor.call(_ATEN.conv2d.default, x, kernel, argument(node, 2, "bias")), _NHWC)


def unary(editor: Editor, node: Operator) -> Operator:
    """A function of each value."""
    x = _picture(node.args[0])
    if x is None or len(node.all_input_nodes) != 1:
        return None
    return permute(editor, editor.call(node.target, x, *node.args[1:], **node.kwargs), _NHWC)


def binary(editor: Editor, node: Operator) -> Operator:
    """A sum or product of turned pictures, or of one with a constant for each channel."""
    if node.kwargs:
        return None
    factors: list[Any] = []
    pictures = 0
    for one in node.args[:2]:
        picture, value = _picture(one), editor.tensor(one)
        if picture is not None:
            pictures += 1
            factors.append(picture)
        elif (
            value is not None
            and value.numel() in (1, shape(node)[-1])
            and value.numel() == max(value.shape[-1:], default=1)
        ):
            factors.append(value.reshape(1, -1, 1, 1))
        elif isinstance(one, int | float):
            factors.append(one)
        else:
            return None
    if not pictures:
        return None
    ready = [editor.constant(one) if isinstance(one, torch.Tensor) else one for one in factors]
    return permute(editor, editor.call(node.target, *ready), _NHWC)


RULES: dict[Any, Rule] = {
    _ATEN.linear.default: linear,
    **dict.fromkeys(
        (
            _ATEN.gelu.default,
            _ATEN.relu.default,
            _ATEN.silu.default,
            _ATEN.sigmoid.default,
            _ATEN.tanh.default,
            _ATEN.hardtanh.default,
            _ATEN.hardswish.default,
            _ATEN.hardsigmoid.default,
            _ATEN.leaky_relu.default,
            _ATEN.sqrt.default,
            _ATEN.rsqrt.default,
            _ATEN.exp.default,
            _ATEN.abs.default,
            _ATEN.neg.default,
        ),
        unary,
    ),
    **dict.fromkeys((_ATEN.add.Tensor, _ATEN.sub.Tensor, _ATEN.mul.Tensor, _ATEN.div.Tensor), binary),
}
