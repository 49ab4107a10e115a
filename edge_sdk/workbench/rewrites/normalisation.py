"""Layer, group, instance and RMS norms written out in operators that XNNPACK has; they stay in float32 inside.

A variance spans too many orders of magnitude for 256 steps: in int8 these norms would cost the network its answers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from edge_sdk.workbench.rewrites.editor import Editor, Operator, Rule, argument, is_call, shape
from edge_sdk.workbench.rewrites.layout import permute, view
from edge_sdk.workbench.rewrites.pooling import mean_over

_ATEN = torch.ops.aten
NHWC, NCHW = [0, 2, 3, 1], [0, 3, 1, 2]


def layer_norm(editor: Editor, node: Operator) -> Operator:
    """Layer norm over the last axes; over the channels where the input is a picture turned around."""
    x = node.args[0]
    sizes = [int(size) for size in node.args[1]]
    weight, bias, eps = argument(node, 2, "weight"), argument(node, 3, "bias"), float(argument(node, 4, "eps", 1e-5))
    with editor.in_float():
        if len(sizes) == 1 and is_call(x, _ATEN.permute.default) and list(x.args[1]) == NHWC:
            picture = x.args[0]
            y = _standardise(editor, picture, lambda value: mean_over(editor, value, [1]), eps)
            y = _affine(editor, y, weight, bias, [1, sizes[0], 1, 1])
            return permute(editor, y, NHWC)
        flat = [*shape(x)[: len(shape(x)) - len(sizes)], math.prod(sizes)]
        y = _standardise(editor, view(editor, x, flat), lambda value: mean_over(editor, value, [-1]), eps)
        return view(editor, _affine(editor, y, weight, bias, [math.prod(sizes)]), shape(x))


def rms_norm(editor: Editor, node: Operator) -> Operator:
    """Root-mean-square norm over the last axis."""
    x = node.args[0]
    if len(node.args[1]) != 1:
        return None
    eps = argument(node, 3, "eps")
    eps = float(torch.finfo(torch.float32).eps if eps is None else eps)
    with editor.in_float():
        square = editor.call(_ATEN.mul.Tensor, x, x)
        y = editor.call(_ATEN.mul.Tensor, x, _inverse_root(editor, mean_over(editor, square, [-1]), eps))
        return _affine(editor, y, argument(node, 2, "weight"), None, [shape(x)[-1]])


def group_norm(editor: Editor, node: Operator) -> Operator:
    """Group norm of pictures: the mean of each channel, then of the channels of a group by a 1x1 convolution."""
    x, groups = node.args[0], int(node.args[1])
    weight, bias, eps = argument(node, 2, "weight"), argument(node, 3, "bias"), float(argument(node, 4, "eps", 1e-5))
    sizes = shape(x)
    channels = sizes[1]
    with editor.in_float():
        picture = view(editor, x, sizes if len(sizes) == 4 else [sizes[0], channels, math.prod(sizes[2:]), 1])

        def mean(value: Operator) -> Operator:
            pooled = mean_over(editor, value, [2, 3])
            if groups == channels:
                return pooled
            own = channels // groups
            blocks = torch.eye(groups).repeat_interleave(own, 0).repeat_interleave(own, 1)[:, :, None, None] / own
            return editor.call(_ATEN.conv2d.default, pooled, editor.constant(blocks))

        y = _affine(editor, _standardise(editor, picture, mean, eps), weight, bias, [1, channels, 1, 1])
        return view(editor, y, sizes)


def instance_norm(editor: Editor, node: Operator) -> Operator:
    """Group norm of one channel a group."""
    x, weight, bias = node.args[:3]
    if not argument(node, 5, "use_input_stats"):
        return None
    return editor.call(_ATEN.group_norm.default, x, shape(x)[1], weight, bias, argument(node, 7, "eps"))


def length(editor: Editor, node: Operator) -> Operator:
    """The Euclidean length over some axes, as in GRN and normalised vectors."""
    x = node.args[0]
    if float(argument(node, 1, "ord", 2)) != 2:
        return None
    sizes = shape(x)
    axes = [int(axis) % len(sizes) for axis in argument(node, 2, "dim") or range(len(sizes))]
    count = math.prod(sizes[axis] for axis in axes)
    with editor.in_float():
        square = editor.call(_ATEN.mul.Tensor, x, x)
        total = editor.call(_ATEN.mul.Tensor, mean_over(editor, square, axes), float(count))
        return view(editor, editor.call(_ATEN.sqrt.default, total), shape(node))


def variance(editor: Editor, node: Operator) -> Operator:
    """The variance over some axes."""
    x = node.args[0]
    sizes = shape(x)
    axes = [int(axis) % len(sizes) for axis in argument(node, 1, "dim") or range(len(sizes))]
    given = argument(node, 2, "unbiased" if "dim" in str(node.target) else "correction")
    count = math.prod(sizes[axis] for axis in axes)
    lost = 1.0 if given is None else float(given)
    with editor.in_float():
        centred = editor.call(_ATEN.sub.Tensor, x, mean_over(editor, x, axes))
        spread = mean_over(editor, editor.call(_ATEN.mul.Tensor, centred, centred), axes)
        if lost:
            spread = editor.call(_ATEN.mul.Tensor, spread, count / max(count - lost, 1e-30))
        if node.target in (_ATEN.std.correction, _ATEN.std.dim):
            spread = editor.call(_ATEN.sqrt.default, spread)
        return view(editor, spread, shape(node))


def _standardise(editor: Editor, x: Operator, mean: Callable[[Operator], Operator], eps: float) -> Operator:
    centred = editor.call(_ATEN.sub.Tensor, x, mean(x))
    spread = mean(editor.call(_ATEN.mul.Tensor, centred, centred))
    return editor.call(_ATEN.mul.Tensor, centred, _inverse_root(editor, spread, eps))


def _inverse_root(editor: Editor, x: Operator, eps: float) -> Operator:
    return editor.call(_ATEN.rsqrt.default, editor.call(_ATEN.add.Tensor, x, eps))


def _affine(editor: Editor, x: Operator, weight: Any, bias: Any, sizes: list[int]) -> Operator:
    for target, node in ((_ATEN.mul.Tensor, weight), (_ATEN.add.Tensor, bias)):
        value = editor.tensor(node)
        if value is not None:
            x = editor.call(target, x, editor.constant(value.reshape(sizes)))
        elif node is not None:
            x = editor.call(target, x, view(editor, node, sizes))
    return x


RULES: dict[Any, Rule] = {
    _ATEN.layer_norm.default: layer_norm,
    _ATEN.rms_norm.default: rms_norm,
    _ATEN.group_norm.default: group_norm,
    _ATEN.instance_norm.default: instance_norm,
    _ATEN.linalg_vector_norm.default: length,
    **dict.fromkeys((_ATEN.var.correction, _ATEN.var.dim, _ATEN.std.correction, _ATEN.std.dim), variance),
}
