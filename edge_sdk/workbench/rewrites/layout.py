"""Views, slices and copies: what only moves values becomes reshape, permute, slice and concatenation.

XNNPACK takes these four at any rank up to six; the many other spellings (chunk, split, unbind, select, stack, roll,
expand, ...) fall outside its delegate, and `clone` splits it where the memory format changes.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import torch
from torch.fx import Node

from edge_sdk.workbench.rewrites.editor import Editor, Operator, Rule, argument, is_call, shape

_ATEN = torch.ops.aten
_BROADCAST = (_ATEN.add.Tensor, _ATEN.sub.Tensor, _ATEN.mul.Tensor, _ATEN.div.Tensor, _ATEN.maximum.default)
MAX_COPIES = 16
"""Parts that a flip or a repeat may be cut into."""


def view(editor: Editor, x: Operator, sizes: list[int]) -> Operator:
    """`x` in another shape, `x` itself where it has it already."""
    while is_call(x, _ATEN.view_copy.default):
        x = x.args[0]
    return x if shape(x) == sizes else editor.call(_ATEN.view_copy.default, x, sizes)


def permute(editor: Editor, x: Operator, order: list[int]) -> Operator:
    """`x` with its dimensions in another order; two permutations in a row become one, moved ones a view."""
    rank = len(shape(x))
    order = [axis % rank for axis in order]
    if is_call(x, _ATEN.permute.default):
        before = [axis % rank for axis in x.args[1]]
        order, x = [before[axis] for axis in order], x.args[0]
    sizes = shape(x)
    real = [axis for axis in order if sizes[axis] != 1]
    if order == list(range(rank)):
        return x
    if real == sorted(real):  # only dimensions of size one move
        return view(editor, x, [sizes[axis] for axis in order])
    return editor.call(_ATEN.permute.default, x, order)


def part(editor: Editor, x: Operator, axis: int, start: int, end: int) -> Operator:
    """`x[start:end]` along one axis."""
    return x if (start, end) == (0, shape(x)[axis]) else editor.call(_ATEN.slice.Tensor, x, axis, start, end)


def same(editor: Editor, node: Operator) -> Operator:
    """Copies and conversions that change nothing."""
    x = node.args[0]
    return x if isinstance(x, Node) and x.meta["val"].dtype == node.meta["val"].dtype else None


def as_view(editor: Editor, node: Operator) -> Operator:
    """Any operator that only changes the shape."""
    x = node.args[0]
    if node.target is _ATEN.view_copy.default and shape(x) != shape(node):
        return view(editor, x, shape(node)) if is_call(x, _ATEN.view_copy.default) else None
    return view(editor, x, shape(node))


def as_permute(editor: Editor, node: Operator) -> Operator:
    """Transpositions, and permutations that can be simpler."""
    x = node.args[0]
    order = list(range(len(shape(x))))
    if node.target is _ATEN.permute.default:
        order = [axis % len(order) for axis in node.args[1]]
        inside, sizes = is_call(x, _ATEN.permute.default), shape(x)
        real = [axis for axis in order if sizes[axis] != 1]
        return permute(editor, x, order) if inside or real == sorted(real) else None
    if node.target is _ATEN.t.default:
        order.reverse()
    else:
        one, other = int(node.args[1]), int(node.args[2])
        order[one], order[other] = order[other], order[one]
    return permute(editor, x, order)


def whole_slice(editor: Editor, node: Operator) -> Operator:
    """A slice that takes everything."""
    x = node.args[0]
    return x if shape(x) == shape(node) and argument(node, 4, "step", 1) == 1 else None


def select(editor: Editor, node: Operator) -> Operator:
    """`x[:, index]`."""
    x, axis, index = node.args
    axis, index = axis % len(shape(x)), index % shape(x)[axis]
    return view(editor, part(editor, x, axis, index, index + 1), shape(node))


def getitem(editor: Editor, node: Operator) -> Operator:
    """One part of a split, chunk or unbind."""
    source, index = node.args
    if not is_call(source, *_SPLITS):
        return None
    x, last = source.args[0], 1 if source.target is _ATEN.unbind.int else 2
    name = "dim"
    axis = int(argument(source, last, name, 0)) % len(shape(x))
    sizes = [1] * shape(x)[axis]
    if source.target is not _ATEN.unbind.int:
        sizes = [int(value.shape[axis]) for value in source.meta["val"]]
    start = sum(sizes[: index % len(sizes)])
    return view(editor, part(editor, x, axis, start, start + sizes[index]), shape(node))


def expand(editor: Editor, node: Operator) -> Operator:
    """Broadcasting: left to the operators that read it where they can, else a product with ones."""
    x = node.args[0]
    wanted = shape(node)
    padded = view(editor, x, [1] * (len(wanted) - len(shape(x))) + shape(x))
    if math.prod(wanted) == math.prod(shape(x)) or all(_broadcasts(user, node) for user in node.users):
        return padded
    with editor.in_float():
        return editor.call(_ATEN.mul.Tensor, padded, editor.constant(torch.ones(wanted)))


def _broadcasts(user: Operator, node: Operator) -> bool:
    """Whether `user` gives the same with `node` not expanded."""
    if not is_call(user, *_BROADCAST):
        return False
    others = [value for value in user.args if isinstance(value, Node) and value is not node]
    return len(others) == 1 and shape(others[0]) == shape(user)


def repeat(editor: Editor, node: Operator) -> Operator:
    """Copies side by side."""
    x, counts = node.args
    copies = [int(count) for count in counts]
    if max(copies) > MAX_COPIES:
        return None
    y = view(editor, x, [1] * (len(copies) - len(shape(x))) + shape(x))
    for axis, count in enumerate(copies):
        y = y if count == 1 else editor.call(_ATEN.cat.default, [y] * count, axis)
    return y


def stack(editor: Editor, node: Operator) -> Operator:
    """Concatenation along a new axis."""
    axis = int(argument(node, 1, "dim", 0)) % len(shape(node))
    sizes = shape(node)
    sizes[axis] = 1
    parts = [view(editor, x, sizes) for x in node.args[0]]
    return editor.call(_ATEN.cat.default, parts, axis)


def roll(editor: Editor, node: Operator) -> Operator:
    """Two slices, the other way around."""
    x, shifts, axes = node.args[0], node.args[1], argument(node, 2, "dims", [])
    if not axes:
        return None
    for shift, axis in zip(shifts, axes, strict=True):
        size = shape(x)[axis]
        cut = (size - int(shift)) % size
        if cut:
            parts = [part(editor, x, axis % len(shape(x)), cut, size), part(editor, x, axis % len(shape(x)), 0, cut)]
            x = editor.call(_ATEN.cat.default, parts, axis)
    return x


def flip(editor: Editor, node: Operator) -> Operator:
    """Slices of one, in reverse."""
    x = node.args[0]
    for axis in node.args[1]:
        axis = int(axis) % len(shape(x))
        size = shape(x)[axis]
        if size > MAX_COPIES:
            return None
        x = editor.call(_ATEN.cat.default, [part(editor, x, axis, at, at + 1) for at in reversed(range(size))], axis)
    return x


def index(editor: Editor, node: Operator) -> Operator:
    """Fixed places along one axis: a product with a matrix of zeros and ones."""
    x = node.args[0]
    if node.target is _ATEN.index_select.default:
        axis, places = int(node.args[1]), editor.tensor(node.args[2])
    else:
        given: list[Any] = list(node.args[1])
        used = [at for at, value in enumerate(given) if value is not None]
        if len(used) != 1:
            return None
        axis, places = used[0], editor.tensor(given[used[0]])
    if places is None or places.dim() != 1 or places.dtype != torch.int64:
        return None
    axis, rank = axis % len(shape(x)), len(shape(x))
    count = shape(x)[axis]
    order = [at for at in range(rank) if at != axis] + [axis]
    back = [order.index(at) for at in range(rank)]
    with editor.in_float():
        matrix = editor.constant(torch.nn.functional.one_hot(places % count, count).float())
        return permute(editor, editor.call(_ATEN.linear.default, permute(editor, x, order), matrix), back)


def filled(editor: Editor, node: Operator) -> Operator:
    """Constants of an activation's shape."""
    fill = 1.0 if "ones" in str(node.target) else 0.0
    if "full" in str(node.target):
        value = argument(node, 1 if "like" in str(node.target) else 2, "fill_value")
        if not isinstance(value, int | float):
            return None
        fill = float(value)
    value = node.meta["val"]
    return editor.constant(torch.full(value.shape, fill, dtype=value.dtype))


_SPLITS = (
    _ATEN.split.Tensor,
    _ATEN.split_with_sizes.default,
    _ATEN.chunk.default,
    _ATEN.unbind.int,
    _ATEN.tensor_split.sections,
)
RULES: dict[Any, Rule] = {
    **dict.fromkeys(
        (
            _ATEN.clone.default,
            _ATEN.alias.default,
            _ATEN.detach.default,
            _ATEN.dropout.default,
            _ATEN.contiguous.default,
            _ATEN.lift_fresh_copy.default,
            _ATEN._to_copy.default,
            _ATEN.to.dtype,
        ),
        same,
    ),
    **dict.fromkeys(
        (
            _ATEN.view.default,
            _ATEN._unsafe_view.default,
            _ATEN.reshape.default,
            _ATEN.view_copy.default,
            _ATEN.flatten.using_ints,
            _ATEN.unflatten.int,
            _ATEN.squeeze.default,
            _ATEN.squeeze.dim,
            _ATEN.squeeze.dims,
            _ATEN.unsqueeze.default,
        ),
        as_view,
    ),
    **dict.fromkeys((_ATEN.transpose.int, _ATEN.t.default, _ATEN.permute.default), as_permute),
    **dict.fromkeys(
        (
            _ATEN.zeros_like.default,
            _ATEN.ones_like.default,
            _ATEN.full_like.default,
            _ATEN.new_zeros.default,
            _ATEN.new_ones.default,
            _ATEN.new_full.default,
        ),
        filled,
    ),
    _ATEN.slice.Tensor: whole_slice,
    _ATEN.select.int: select,
    operator.getitem: getitem,
    _ATEN.expand.default: expand,
    _ATEN.repeat.default: repeat,
    _ATEN.stack.default: stack,
    _ATEN.roll.default: roll,
    _ATEN.flip.default: flip,
    _ATEN.index.Tensor: index,
    _ATEN.index_select.default: index,
}
