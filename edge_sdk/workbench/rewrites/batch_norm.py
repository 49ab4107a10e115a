"""Batch norm in evaluation: part of the layer before it, or a depthwise 1x1 convolution where there is none."""

from __future__ import annotations

import math
import operator
from typing import Any

import torch

from edge_sdk.workbench.rewrites.activations import scaled_layer
from edge_sdk.workbench.rewrites.editor import Editor, Operator, Rule, is_call, only_user, shape
from edge_sdk.workbench.rewrites.layout import view

_ATEN = torch.ops.aten


def batch_norm(editor: Editor, node: Operator) -> Operator:
    """`gamma (x - mean) / sqrt(var + eps) + beta`, which is one factor and one offset a channel."""
    source, which = node.args
    if which != 0 or not is_call(source, _ATEN._native_batch_norm_legit_no_training.default):
        return None
    x, weight, bias, mean, variance = source.args[:5]
    known = [editor.tensor(one) for one in (weight, bias, mean, variance)]
    if known[2] is None or known[3] is None:
        return None
    eps = float(source.args[6])
    scale = torch.rsqrt(known[3].double() + eps) * (1 if known[0] is None else known[0].double())
    offset = (0 if known[1] is None else known[1].double()) - known[2].double() * scale
    return scaled(editor, x, source, scale.float(), offset.float())


def scaled(editor: Editor, x: Operator, reader: Operator, scale: torch.Tensor, offset: torch.Tensor) -> Operator:
    """`scale * x + offset`, one each for each channel (the second axis) of `x`, of which `reader` is the reader."""
    sizes = shape(x)
    if only_user(x) is reader:
        layer = x
        while is_call(layer, _ATEN.view_copy.default) and only_user(layer) is not None and len(sizes) == 2:
            inside = layer.args[0]
            if shape(inside)[-1] != sizes[-1]:
                break
            layer = inside
        fits = is_call(layer, _ATEN.conv2d.default) or len(sizes) == 2
        changed = scaled_layer(editor, layer, scale, offset) if fits and only_user(layer) is not None else None
        if changed is not None:
            return view(editor, changed, sizes)
    if len(sizes) == 2:
        return editor.call(
            _ATEN.add.Tensor,
            editor.call(_ATEN.mul.Tensor, x, editor.constant(scale)),
            editor.constant(offset),
        )
    channels = sizes[1]
    picture = view(editor, x, sizes if len(sizes) == 4 else [sizes[0], channels, math.prod(sizes[2:]), 1])
    weight, bias = editor.constant(scale.reshape(-1, 1, 1, 1)), editor.constant(offset)
    y = editor.call(_ATEN.conv2d.default, picture, weight, bias, [1, 1], [0, 0], [1, 1], channels)
    return view(editor, y, sizes)


RULES: dict[Any, Rule] = {operator.getitem: batch_norm}
