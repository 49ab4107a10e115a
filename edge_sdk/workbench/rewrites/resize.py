"""Resizing of activations: whole factors as a transposed convolution, others as two products with fixed matrices."""

from __future__ import annotations

from typing import Any

import torch

from edge_sdk.workbench.rewrites.editor import Editor, Operator, Rule, shape
from edge_sdk.workbench.rewrites.layout import permute

_ATEN = torch.ops.aten


def nearest(editor: Editor, node: Operator) -> Operator:
    """Each value, a whole number of times in both directions."""
    x = node.args[0]
    sizes, wanted = shape(x), shape(node)
    if sizes == wanted:
        return x
    factors = [after // before for before, after in zip(sizes[2:], wanted[2:], strict=True)]
    if any(after % before for before, after in zip(sizes[2:], wanted[2:], strict=True)):
        return separable(editor, node)
    with editor.in_float():
        ones = editor.constant(torch.ones(sizes[1], 1, *factors))
        return editor.call(_ATEN.conv_transpose2d.input, x, ones, None, factors, [0, 0], [0, 0], sizes[1])


def separable(editor: Editor, node: Operator) -> Operator:
    """Rows and columns each times a matrix, which is what the operator makes of unit vectors."""
    x = node.args[0]
    sizes, wanted = shape(x), shape(node)
    if sizes == wanted:
        return x
    if len(sizes) != 4:
        return None
    with editor.in_float():
        for axis in (3, 2):
            if sizes[axis] == wanted[axis]:
                continue
            size = [sizes[3], wanted[3]] if axis == 3 else [wanted[2], sizes[2]]
            units = torch.eye(sizes[axis])[None, None]  # a picture that is resized along this axis alone
            fixed = _resized(node, units, size, axis - 2)[0, 0]
            matrix = editor.constant(fixed.T if axis == 3 else fixed)
            if axis == 3:
                x = editor.call(_ATEN.linear.default, x, matrix)
            else:
                turned = editor.call(_ATEN.linear.default, permute(editor, x, [0, 1, 3, 2]), matrix)
                x = permute(editor, turned, [0, 1, 3, 2])
    return x


def _resized(node: Operator, units: torch.Tensor, size: list[int], which: int) -> torch.Tensor:
    """What the operator makes of `units`, resized along one axis."""
    if "adaptive" in str(node.target):
        return torch.nn.functional.adaptive_avg_pool2d(units, (size[0], size[1]))
    names = [one.name for one in node.target._schema.arguments][1:]
    given = dict.fromkeys(names) | dict(zip(names, node.args[1:], strict=False)) | dict(node.kwargs)
    if (factors := given["scale_factors"]) is None:
        given["output_size"] = size
    else:  # the coordinates follow the factors, which may differ a little from the ratio of the sizes
        given["scale_factors"] = [float(factors[axis]) if axis == which else 1.0 for axis in (0, 1)]
    resized: torch.Tensor = node.target(units, **given)
    return resized


RULES: dict[Any, Rule] = {
    _ATEN.upsample_nearest2d.vec: nearest,
    **dict.fromkeys(
        (
            _ATEN.upsample_bicubic2d.vec,
            _ATEN._upsample_nearest_exact2d.vec,
            _ATEN._upsample_bilinear2d_aa.vec,
            _ATEN._upsample_bicubic2d_aa.vec,
            _ATEN.adaptive_avg_pool2d.default,
        ),
        separable,
    ),
}
