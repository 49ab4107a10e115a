"""Averages and pools in the forms that XNNPACK takes: a mean over height and width, or a pool without ceil mode."""

from __future__ import annotations

import math
import operator
from typing import Any

import torch
from torch.fx import Node

from edge_sdk.workbench.rewrites.editor import Editor, Operator, Rule, argument, is_call, pair, shape
from edge_sdk.workbench.rewrites.layout import permute, view

_ATEN = torch.ops.aten


def mean_over(editor: Editor, x: Operator, axes: list[int]) -> Operator:
    """The mean over some axes, which keep size one.

    Height and width are XNNPACK's own. The last axis, or the channels of a picture, are a product with a row of `1/n`,
    which needs no transposition. Anything else is brought into one of these forms.
    """
    sizes = shape(x)
    rank = len(sizes)
    axes = sorted(axis % rank for axis in axes)
    kept = [1 if axis in axes else size for axis, size in enumerate(sizes)]
    count = math.prod(sizes[axis] for axis in axes)
    if count == 1:
        return x
    if rank == 4 and axes == [2, 3]:
        return editor.call(_ATEN.mean.dim, x, [2, 3], True)
    if rank == 4 and axes == [1]:
        with editor.in_float():
            row = editor.constant(torch.full((1, count, 1, 1), 1 / count))
            return editor.call(_ATEN.conv2d.default, x, row)
    if axes == [rank - 1]:
        with editor.in_float():
            return editor.call(_ATEN.linear.default, x, editor.constant(torch.full((1, count), 1 / count)))
    if rank == 4 and axes == [1, 2, 3]:
        return mean_over(editor, mean_over(editor, x, [2, 3]), [1])
    if rank == 4 and axes in ([2], [3]):
        window = [sizes[2], 1] if axes == [2] else [1, sizes[3]]
        return editor.call(_ATEN.avg_pool2d.default, x, window)
    if rank == 4 and axes == [1, 2]:
        pooled = editor.call(_ATEN.mean.dim, permute(editor, x, [0, 3, 1, 2]), [2, 3], True)
        return permute(editor, pooled, [0, 2, 3, 1])
    others = [axis for axis in range(rank) if axis not in axes]
    rest = math.prod(sizes[axis] for axis in others)
    flat = view(editor, permute(editor, x, others + axes), [1, rest, count, 1])
    return view(editor, editor.call(_ATEN.mean.dim, flat, [2, 3], True), kept)


def mean(editor: Editor, node: Operator) -> Operator:
    """`x.mean(axes)`."""
    x = node.args[0]
    rank = len(shape(x))
    axes = [int(axis) % rank for axis in argument(node, 1, "dim") or range(rank)]
    keeps = bool(argument(node, 2, "keepdim", False))
    if rank == 4 and sorted(axes) == [2, 3] and keeps and list(node.args[1]) == [2, 3]:
        return None
    return view(editor, mean_over(editor, x, axes), shape(node))


def mean_of_all(editor: Editor, node: Operator) -> Operator:
    """`x.mean()`."""
    x = node.args[0]
    return view(editor, mean_over(editor, x, list(range(len(shape(x))))), shape(node))


def total(editor: Editor, node: Operator) -> Operator:
    """`x.sum(axes)`: the mean, times how many there are."""
    x = node.args[0]
    sizes = shape(x)
    axes = [int(axis) % len(sizes) for axis in argument(node, 1, "dim") or range(len(sizes))]
    count = math.prod(sizes[axis] for axis in axes)
    pooled = mean_over(editor, x, axes)
    return view(editor, editor.call(_ATEN.mul.Tensor, pooled, float(count)), shape(node))


def adaptive_average(editor: Editor, node: Operator) -> Operator:
    """Adaptive average pooling to one value, or to sizes that divide the input's."""
    x = node.args[0]
    inside, outside = shape(x)[-2:], shape(node)[-2:]
    if outside == [1, 1] and len(shape(x)) == 4:
        return mean_over(editor, x, [2, 3])
    if any(size % wanted for size, wanted in zip(inside, outside, strict=True)):
        return None
    window = [size // wanted for size, wanted in zip(inside, outside, strict=True)]
    return x if window == [1, 1] else editor.call(_ATEN.avg_pool2d.default, x, window, window)


def average(editor: Editor, node: Operator) -> Operator:
    """Average pooling whose ceil mode or counted padding XNNPACK does not take."""
    x = node.args[0]
    window, stride, padding = _pairs(node)
    ceil, counted = bool(argument(node, 4, "ceil_mode", False)), bool(argument(node, 5, "count_include_pad", True))
    divisor = argument(node, 6, "divisor_override")
    rows, columns = shape(x)[-2:]
    if window == [1, 1] and padding == [0, 0]:
        return None if stride == [1, 1] else editor.call(_ATEN.max_pool2d.default, x, window, stride)
    overhang = [
        max((out - 1) * step + size - inside - 2 * pad, 0)
        for out, step, size, inside, pad in zip(shape(node)[-2:], stride, window, (rows, columns), padding, strict=True)
    ]
    if not any(overhang):
        if divisor in (None, window[0] * window[1]) and not (counted and any(padding)):
            plain = (window, stride, padding, False, counted)
            return editor.call(_ATEN.avg_pool2d.default, x, *plain) if ceil or divisor else None
        if counted and divisor is None:
            return editor.call(_ATEN.avg_pool2d.default, _padded(editor, x, padding, overhang), window, stride)
    ones = torch.ones(1, 1, rows, columns)
    shares = torch.nn.functional.avg_pool2d(ones, window, stride, padding, ceil, counted, divisor)
    padded = torch.nn.functional.pad(ones, (padding[1], padding[1] + overhang[1], padding[0], padding[0] + overhang[0]))
    scale = shares / torch.nn.functional.avg_pool2d(padded, window, stride)
    pooled = editor.call(_ATEN.avg_pool2d.default, _padded(editor, x, padding, overhang), window, stride)
    return editor.call(_ATEN.mul.Tensor, pooled, editor.constant(scale))


def _padded(editor: Editor, x: Operator, padding: list[int], overhang: list[int]) -> Operator:
    top, left = padding
    amounts = [left, left + overhang[1], top, top + overhang[0]]
    return editor.call(_ATEN.constant_pad_nd.default, x, amounts, 0.0) if any(amounts) else x


def _pairs(node: Operator) -> tuple[list[int], list[int], list[int]]:
    window = pair(node.args[1])
    return window, pair(argument(node, 2, "stride") or window), pair(argument(node, 3, "padding", 0))


def largest(editor: Editor, node: Operator) -> Operator:
    """The maximum over height and width, as a pool of that size."""
    x = node.args[0]
    axes = sorted(int(axis) % len(shape(x)) for axis in argument(node, 1, "dim", []))
    if len(shape(x)) != 4 or axes != [2, 3]:
        return None
    return view(editor, editor.call(_ATEN.max_pool2d.default, x, shape(x)[2:]), shape(node))


def part_of_maximum(editor: Editor, node: Operator) -> Operator:
    """The values of `adaptive_max_pool2d` and `max_pool2d_with_indices`."""
    source, which = node.args
    if which != 0 or not isinstance(source, Node):
        return None
    if is_call(source, _ATEN.max_pool2d_with_indices.default):
        return editor.call(_ATEN.max_pool2d.default, *source.args, **source.kwargs)
    if not is_call(source, _ATEN.adaptive_max_pool2d.default):
        return None
    x = source.args[0]
    inside, outside = shape(x)[-2:], shape(node)[-2:]
    if any(size % wanted for size, wanted in zip(inside, outside, strict=True)):
        return None
    window = [size // wanted for size, wanted in zip(inside, outside, strict=True)]
    return editor.call(_ATEN.max_pool2d.default, x, window, window)


RULES: dict[Any, Rule] = {
    _ATEN.mean.dim: mean,
    _ATEN.mean.default: mean_of_all,
    _ATEN.sum.dim_IntList: total,
    _ATEN.adaptive_avg_pool2d.default: adaptive_average,
    _ATEN._adaptive_avg_pool2d.default: adaptive_average,
    _ATEN.avg_pool2d.default: average,
    _ATEN.amax.default: largest,
    operator.getitem: part_of_maximum,
}
