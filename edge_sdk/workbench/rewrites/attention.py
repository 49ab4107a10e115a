"""Attention and other products of two activations, as `bmm - softmax - bmm` on tensors of rank three, in float32."""

from __future__ import annotations

import math
from typing import Any

import torch

from edge_sdk.workbench.rewrites.editor import Editor, Operator, Rule, argument, shape
from edge_sdk.workbench.rewrites.layout import permute, view

_ATEN = torch.ops.aten


def attention(editor: Editor, node: Operator) -> Operator:
    """`scaled_dot_product_attention`."""
    query, key, value = node.args[:3]
    mask, scale = argument(node, 3, "attn_mask"), node.kwargs.get("scale")
    if argument(node, 5, "is_causal", False) or node.kwargs.get("enable_gqa", False):
        return None
    if mask is not None and mask.meta["val"].dtype == torch.bool:
        held = editor.tensor(mask)
        if held is None:
            return None
        mask = editor.constant(torch.zeros(held.shape).masked_fill(~held, -1e4))
    heads, (places, depth), others = shape(query)[:-2], shape(query)[-2:], shape(key)[-2]
    batch = math.prod(heads)
    if any(math.prod(shape(one)[:-2]) != batch for one in (key, value)):
        return None
    with editor.in_float():
        scaled = editor.call(_ATEN.mul.Tensor, query, float(scale or depth**-0.5))
        turned = permute(editor, view(editor, key, [batch, others, depth]), [0, 2, 1])
        score = editor.call(_ATEN.bmm.default, view(editor, scaled, [batch, places, depth]), turned)
        if mask is not None:
            score = view(editor, score, [*heads, places, others])
            score = view(editor, editor.call(_ATEN.add.Tensor, score, mask), [batch, places, others])
        share = editor.call(_ATEN.softmax.int, score, -1)
        mixed = editor.call(_ATEN.bmm.default, share, view(editor, value, [batch, others, shape(value)[-1]]))
        return view(editor, mixed, shape(node))


def matmul(editor: Editor, node: Operator) -> Operator:
    """Products at any rank: a linear layer where the second factor is a constant matrix, else `bmm`."""
    one, other = node.args[:2]
    left, right = shape(one), shape(other)
    if len(left) < 2 or len(right) < 2:
        return None
    fixed = editor.tensor(other)
    if fixed is not None and math.prod(right[:-2]) == 1:
        return view(
            editor, editor.call(_ATEN.linear.default, one, editor.constant(fixed.reshape(right[-2:]).T)), shape(node)
        )
    if node.target is _ATEN.bmm.default:
        return None
    batch = shape(node)[:-2]
    with editor.in_float():
        factors = [_batched(editor, factor, sizes, batch) for factor, sizes in ((one, left), (other, right))]
        return view(editor, editor.call(_ATEN.bmm.default, *factors), shape(node))


def _batched(editor: Editor, factor: Operator, sizes: list[int], batch: list[int]) -> Operator:
    """The factor as `(batch, rows, columns)`."""
    own = sizes[:-2]
    if math.prod(own) != math.prod(batch):
        factor = editor.call(_ATEN.expand.default, factor, [*batch, *sizes[-2:]])
    return view(editor, factor, [math.prod(batch), *sizes[-2:]])


def added_product(editor: Editor, node: Operator) -> Operator:
    """`baddbmm` and `addmm` of activations."""
    if float(node.kwargs.get("beta", 1)) != 1 or float(node.kwargs.get("alpha", 1)) != 1:
        return None
    with editor.in_float():
        return editor.call(_ATEN.add.Tensor, editor.call(_ATEN.matmul.default, *node.args[1:3]), node.args[0])


def softmax(editor: Editor, node: Operator) -> Operator:
    """Softmax over any axis, as one over the last."""
    x = node.args[0]
    rank = len(shape(x))
    axis = int(node.args[1]) % rank
    if axis == rank - 1:
        return None
    order = [at for at in range(rank) if at != axis] + [axis]
    with editor.in_float():
        y = editor.call(_ATEN.softmax.int, permute(editor, x, order), -1)
        return permute(editor, y, [order.index(at) for at in range(rank)])


RULES: dict[Any, Rule] = {
    _ATEN.scaled_dot_product_attention.default: attention,
    _ATEN.matmul.default: matmul,
    _ATEN.mm.default: matmul,
    _ATEN.bmm.default: matmul,
    _ATEN.baddbmm.default: added_product,
    _ATEN.addmm.default: added_product,
    _ATEN.softmax.int: softmax,
    _ATEN._softmax.default: softmax,
}
