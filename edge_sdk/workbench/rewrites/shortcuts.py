"""Slices with a step and padded channels as fixed 1x1 convolutions: the shortcuts of ResNets with option A.

(He et al. 2015, "Deep Residual Learning for Image Recognition", section 3.3: identity shortcuts with zero padding.)
A weight of one is exact in int8, so the values move unchanged.
"""

from __future__ import annotations

from typing import Any

import torch

from edge_sdk.workbench.rewrites.editor import Editor, Operator, Rule, argument, is_call, only_user, pair, shape
from edge_sdk.workbench.rewrites.layout import part, view

_ATEN = torch.ops.aten


def strided_slice(editor: Editor, node: Operator) -> Operator:
    """`x[:, :, ::s, ::s]`: of pictures a depthwise convolution of one, of anything else a view and a slice."""
    x = node.args[0]
    step, rank = int(argument(node, 4, "step", 1)), len(shape(x))
    if step == 1:
        return None
    axis = int(argument(node, 1, "dim", 0)) % rank
    size = shape(x)[axis]
    start, end, _ = slice(argument(node, 2, "start"), argument(node, 3, "end"), step).indices(size)
    if rank == 4 and axis in (2, 3):
        return _every(editor, x, axis, slice(start, end, step))
    if rank == 4 and axis == 1:
        return editor.call(_ATEN.conv2d.default, x, editor.constant(torch.eye(size)[start:end:step, :, None, None]))
    count = shape(node)[axis]
    missing = start + count * step - size
    if missing > 0:
        tail = shape(x)
        tail[axis] = missing
        x = editor.call(_ATEN.cat.default, [x, editor.constant(torch.zeros(tail))], axis)
    x = part(editor, x, axis, start, start + count * step)
    sizes = shape(x)
    y = view(editor, x, [*sizes[:axis], count, step, *sizes[axis + 1 :]])
    return view(editor, part(editor, y, axis + 1, 0, 1), shape(node))


def _every(editor: Editor, x: Operator, axis: int, places: slice) -> Operator:
    """Rows or columns of a picture; a 1x1 convolution before takes the longer steps itself."""
    start, end, step = places.start, places.stop, places.step
    steps = [1, 1]
    steps[axis - 2] = step
    weight = editor.tensor(x.args[1]) if is_call(x, _ATEN.conv2d.default) and len(x.users) == 1 else None
    plain = weight is not None and list(weight.shape[2:]) == [1, 1] and not any(pair(argument(x, 4, "padding", 0)))
    if not plain:
        return _depthwise(editor, part(editor, x, axis, start, end), steps)
    before, inside = pair(argument(x, 3, "stride", 1)), x.args[0]
    own = before[axis - 2]
    inside = part(editor, inside, axis, start * own, min((end - 1) * own + 1, shape(inside)[axis]))
    stride = [one * other for one, other in zip(before, steps, strict=True)]
    settings = (stride, [0, 0], [1, 1], argument(x, 6, "groups", 1))
    return editor.call(_ATEN.conv2d.default, inside, x.args[1], argument(x, 2, "bias"), *settings)


def _depthwise(editor: Editor, x: Operator, steps: list[int]) -> Operator:
    channels = shape(x)[1]
    ones = editor.constant(torch.ones(channels, 1, 1, 1))
    return editor.call(_ATEN.conv2d.default, x, ones, None, steps, [0, 0], [1, 1], channels)


def one_pool(editor: Editor, node: Operator) -> Operator:
    """A pool of one value, which only takes steps."""
    x = node.args[0]
    window, stride = pair(node.args[1]), pair(argument(node, 2, "stride") or node.args[1])
    if window != [1, 1] or any(pair(argument(node, 3, "padding", 0))):
        return None
    return x if stride == [1, 1] else _depthwise(editor, x, stride)


def pad(editor: Editor, node: Operator) -> Operator:
    """Zero padding: none at all, negative ones as slices, channels as a fixed 1x1 convolution."""
    x, amounts = node.args[0], [int(amount) for amount in node.args[1]]
    if node.target is _ATEN.pad.default:
        kind, value = argument(node, 2, "mode", "constant"), argument(node, 3, "value")
        if kind == "constant":
            return editor.call(_ATEN.constant_pad_nd.default, x, amounts, float(value or 0))
        return _mirrored(editor, x, amounts, kind)
    if not any(amounts):
        return x
    value = float(argument(node, 2, "value", 0.0))
    rank = len(shape(x))
    if any(amount < 0 for amount in amounts):
        for at, axis in enumerate(range(rank - 1, rank - 1 - len(amounts) // 2, -1)):
            low, high = amounts[2 * at : 2 * at + 2]
            x = part(editor, x, axis, max(-low, 0), shape(x)[axis] - max(-high, 0))
        return editor.call(_ATEN.constant_pad_nd.default, x, [max(amount, 0) for amount in amounts], value)
    if rank == 4 and len(amounts) >= 6 and any(amounts[4:6]) and not any(amounts[6:]) and value == 0:
        if any(amounts[:4]):
            x = editor.call(_ATEN.constant_pad_nd.default, x, amounts[:4], 0.0)
        return _with_channels(editor, x, amounts[4], amounts[5])
    if is_call(only_user(node), _ATEN.conv2d.default) and value == 0:
        return None  # padded in int8 together with the convolution
    return _bordered(editor, x, amounts, value, node)


def _bordered(editor: Editor, x: Operator, amounts: list[int], value: float, node: Operator) -> Operator:
    """Padding as a concatenation: XNNPACK's own does not load where its input is int8 and no convolution follows.

    Where only pools of maxima read it, the edge itself is the border: each window that reaches over it holds it too.
    """
    pools = all(is_call(user, _ATEN.max_pool2d.default) for user in node.users)
    repeats = pools and value < -1e30 and all(_wider(user, amounts) for user in node.users)
    rank = len(shape(x))
    for at, axis in enumerate(range(rank - 1, rank - 1 - len(amounts) // 2, -1)):
        parts = [x]
        for side, amount in enumerate(amounts[2 * at : 2 * at + 2]):
            if not amount:
                continue
            sizes = shape(x)
            if repeats:
                place = side * (sizes[axis] - 1)
                border = [part(editor, x, axis, place, place + 1)] * amount
            else:
                sizes[axis] = amount
                border = [editor.constant(torch.full(sizes, max(value, -1e4)))]
            parts = [*parts, *border] if side else [*border, *parts]
        x = x if len(parts) == 1 else editor.call(_ATEN.cat.default, parts, axis)
    return x


def _wider(pool: Operator, amounts: list[int]) -> bool:
    """Whether every window that reaches into the border starts or ends on the picture."""
    window, padding = pair(pool.args[1]), pair(argument(pool, 3, "padding", 0))
    return not any(padding) and len(amounts) <= 4 and max(amounts) < min(window)


def _with_channels(editor: Editor, x: Operator, before: int, after: int) -> Operator:
    """Empty channels around those of `x`; in one convolution with the slice before it."""
    channels, stride = shape(x)[1], [1, 1]
    if is_call(x, _ATEN.conv2d.default) and only_user(x) is not None and argument(x, 6, "groups", 1) == channels:
        weight = editor.tensor(x.args[1])
        if weight is not None and weight.shape == (channels, 1, 1, 1) and bool((weight == 1).all()):
            stride, x = [int(one) for one in argument(x, 3, "stride", [1, 1])], x.args[0]
    matrix = torch.zeros(before + channels + after, channels, 1, 1)
    matrix[before : before + channels, :, 0, 0] = torch.eye(channels)
    return editor.call(_ATEN.conv2d.default, x, editor.constant(matrix), None, stride)


def cat(editor: Editor, node: Operator) -> Operator:
    """Concatenation with zeros along the channels."""
    parts, axis = list(node.args[0]), int(argument(node, 1, "dim", 0)) % len(shape(node))
    if len(parts) == 1:
        return parts[0]
    if len(shape(node)) != 4 or axis != 1:
        return None
    empty = [_is_zero(editor, one) for one in parts]
    if empty.count(False) != 1:
        return None
    at = empty.index(False)
    widths = [shape(one)[1] for one in parts]
    return _with_channels(editor, parts[at], sum(widths[:at]), sum(widths[at + 1 :]))


def nought(editor: Editor, node: Operator) -> Operator:
    """`x * 0`, a way to write empty channels: zeros, before the factor goes into the convolution that gives x."""
    factor = node.args[1]
    if isinstance(factor, int | float) and factor == 0:
        return editor.constant(torch.zeros(shape(node)))
    return None


def _is_zero(editor: Editor, node: Operator) -> bool:
    value = editor.tensor(node)
    return value is not None and not bool(value.any())


def _mirrored(editor: Editor, x: Operator, amounts: list[int], kind: str) -> Operator:
    """Reflected, replicated or circular borders, of slices."""
    rank = len(shape(x))
    for at, axis in enumerate(range(rank - 1, rank - 1 - len(amounts) // 2, -1)):
        low, high = amounts[2 * at : 2 * at + 2]
        size = shape(x)[axis]
        if kind == "reflect":
            before, after = list(range(low, 0, -1)), [size - 2 - at for at in range(high)]
        elif kind == "replicate":
            before, after = [0] * low, [size - 1] * high
        elif kind == "circular":
            before, after = list(range(size - low, size)), list(range(high))
        else:
            return None
        rows = [[part(editor, x, axis, place, place + 1) for place in places] for places in (before, after)]
        if low or high:
            x = editor.call(_ATEN.cat.default, [*rows[0], x, *rows[1]], axis)
    return x


RULES: dict[Any, Rule] = {
    _ATEN.slice.Tensor: strided_slice,
    _ATEN.max_pool2d.default: one_pool,
    _ATEN.pad.default: pad,
    _ATEN.constant_pad_nd.default: pad,
    _ATEN.cat.default: cat,
    _ATEN.mul.Tensor: nought,
}
