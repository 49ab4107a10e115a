"""Activations that XNNPACK has no operator for, and clamps in the form that it fuses into the layer before."""

from __future__ import annotations

import math
from typing import Any

import torch

from edge_sdk.workbench.rewrites.editor import Editor, Operator, Rule, argument, is_call, only_user, shape
from edge_sdk.workbench.rewrites.layout import part

_ATEN = torch.ops.aten


def hardsigmoid(editor: Editor, node: Operator) -> Operator:
    """`relu6(x + 3) / 6`; its slope and offset go into the layer before it where that is free, and leave a clamp."""
    x = node.args[0]
    scaled = scaled_layer(editor, x, torch.tensor(1 / 6), torch.tensor(0.5)) if only_user(x) is node else None
    if scaled is not None:
        return editor.call(_ATEN.hardtanh.default, scaled, 0.0, 1.0)
    raised = editor.call(_ATEN.add.Tensor, x, 3.0)
    return editor.call(_ATEN.mul.Tensor, editor.call(_ATEN.hardtanh.default, raised, 0.0, 6.0), 1 / 6)


def scaled_layer(editor: Editor, layer: Operator, scale: torch.Tensor, offset: torch.Tensor) -> Operator:
    """A convolution or linear layer that gives `scale * y + offset`, one for all or one each; None for others."""
    if not is_call(layer, _ATEN.conv2d.default, _ATEN.linear.default):
        return None
    weight, given = editor.tensor(layer.args[1]), argument(layer, 2, "bias")
    bias = editor.tensor(given)
    if weight is None or (given is not None and bias is None):
        return None
    scale = scale.reshape(-1).expand(len(weight))
    offset = offset.reshape(-1).expand(len(weight)) + (0 if bias is None else scale * bias)
    with_scale = weight * scale.reshape(-1, *[1] * (weight.dim() - 1))
    changed = (layer.args[0], editor.constant(with_scale), editor.constant(offset))
    return editor.call(layer.target, *changed, *layer.args[3:])


def clamp(editor: Editor, node: Operator) -> Operator:
    """A clamp at zero is ReLU, one with two bounds hardtanh."""
    low, high = argument(node, 1, "min"), argument(node, 2, "max")
    if node.target is _ATEN.clamp_max.default:
        low, high = None, argument(node, 1, "max")
    if high is None and low == 0:
        return editor.call(_ATEN.relu.default, node.args[0])
    if isinstance(low, int | float) and isinstance(high, int | float):
        return editor.call(_ATEN.hardtanh.default, node.args[0], float(low), float(high))
    return None if node.target is _ATEN.clamp.default else editor.call(_ATEN.clamp.default, node.args[0], low, high)


def hardtanh(editor: Editor, node: Operator) -> Operator:
    """Bounds as floats, which XNNPACK's passes demand."""
    bounds = [argument(node, 1, "min_val", -1.0), argument(node, 2, "max_val", 1.0)]
    if len(node.args) == 3 and all(isinstance(bound, float) for bound in bounds):
        return None
    return editor.call(_ATEN.hardtanh.default, node.args[0], *map(float, bounds))


def relu6(editor: Editor, node: Operator) -> Operator:
    """ReLU6 under its other name."""
    return editor.call(_ATEN.hardtanh.default, node.args[0], 0.0, 6.0)


def mish(editor: Editor, node: Operator) -> Operator:
    """`x tanh(softplus(x))`, as `x n / (n + 2)` with `n = e (e + 2)` and `e = exp(x)`; from x = 20 on it is x."""
    x = node.args[0]
    with editor.in_float():
        e = editor.call(_ATEN.exp.default, editor.call(_ATEN.clamp.default, x, -80.0, 20.0))
        n = editor.call(_ATEN.mul.Tensor, e, editor.call(_ATEN.add.Tensor, e, 2.0))
        return editor.call(_ATEN.mul.Tensor, x, editor.call(_ATEN.div.Tensor, n, editor.call(_ATEN.add.Tensor, n, 2.0)))


def elu(editor: Editor, node: Operator) -> Operator:
    """ELU, SELU and CELU: `s (max(x, 0) + a (exp(min(c x, 0)) - 1))`."""
    x = node.args[0]
    alpha, scale, inner = float(argument(node, 1, "alpha", 1)), 1.0, 1.0
    if node.target is _ATEN.selu.default:
        alpha, scale = 1.6732632423543772, 1.0507009873554805
    elif node.target is _ATEN.celu.default:
        inner = 1 / alpha
    else:
        scale, inner = float(argument(node, 2, "scale", 1)), float(argument(node, 3, "input_scale", 1))
    with editor.in_float():
        low = editor.call(_ATEN.mul.Tensor, x, inner) if inner != 1 else x
        low = editor.call(_ATEN.exp.default, editor.call(_ATEN.clamp.default, low, -80.0, 0.0))
        low = editor.call(_ATEN.mul.Tensor, editor.call(_ATEN.add.Tensor, low, -1.0), alpha)
        y = editor.call(_ATEN.add.Tensor, editor.call(_ATEN.relu.default, x), low)
        return editor.call(_ATEN.mul.Tensor, y, scale) if scale != 1 else y


def softplus(editor: Editor, node: Operator) -> Operator:
    """`log(1 + exp(x))`, as `max(x, 0) + log(1 + exp(-|x|))`."""
    x = node.args[0]
    if float(argument(node, 1, "beta", 1)) != 1:
        return None
    with editor.in_float():
        e = editor.call(_ATEN.exp.default, editor.call(_ATEN.neg.default, editor.call(_ATEN.abs.default, x)))
        log = editor.call(_ATEN.log.default, editor.call(_ATEN.add.Tensor, e, 1.0))
        return editor.call(_ATEN.add.Tensor, editor.call(_ATEN.relu.default, x), log)


def glu(editor: Editor, node: Operator) -> Operator:
    """One half times the sigmoid of the other."""
    x = node.args[0]
    axis = int(argument(node, 1, "dim", -1)) % len(shape(x))
    half = shape(x)[axis] // 2
    gate = editor.call(_ATEN.sigmoid.default, part(editor, x, axis, half, 2 * half))
    return editor.call(_ATEN.mul.Tensor, part(editor, x, axis, 0, half), gate)


def product(editor: Editor, node: Operator) -> Operator:
    """A product with nought, and GELU written out with `erf`."""
    if 0 in node.args[1:]:
        value = node.meta["val"]
        return editor.constant(torch.zeros(value.shape, dtype=value.dtype))
    for outer, other in (node.args[:2], node.args[1::-1]):
        raised = _shifted(outer, 1.0)
        if not is_call(raised, _ATEN.erf.default):
            continue
        x = _scaled(raised.args[0], math.sqrt(0.5))
        factor = 1.0 if other is x else _factor(other, x)
        if x is not None and factor is not None:
            gelu = editor.call(_ATEN.gelu.default, x)
            return gelu if factor == 0.5 else editor.call(_ATEN.mul.Tensor, gelu, 2 * factor)
    return None


def _shifted(node: Operator, by: float) -> Operator:
    """`x` where `node` is `x + by`."""
    return node.args[0] if is_call(node, _ATEN.add.Tensor) and node.args[1] == by else None


def _scaled(node: Operator, factor: float) -> Operator:
    """`x` where `node` is `x * factor`."""
    if is_call(node, _ATEN.mul.Tensor) and isinstance(node.args[1], int | float):
        return node.args[0] if math.isclose(node.args[1], factor, rel_tol=1e-6) else None
    return None


def _factor(node: Operator, x: Any) -> float | None:
    """The number that `node` is times `x`."""
    fits = is_call(node, _ATEN.mul.Tensor) and node.args[0] is x and isinstance(node.args[1], int | float)
    return float(node.args[1]) if fits else None


def scaled_sum(editor: Editor, node: Operator) -> Operator:
    """Sums and differences with a factor or a number: a product, and a plain sum."""
    alpha = node.kwargs.get("alpha", 1)
    if not isinstance(alpha, int | float):
        return None
    x, other = node.args[:2]
    if node.target in (_ATEN.rsub.Scalar, _ATEN.rsub.Tensor):
        if alpha != 1:
            return None
        if isinstance(other, int | float):
            return editor.call(_ATEN.add.Tensor, editor.call(_ATEN.mul.Tensor, x, -1.0), float(other))
        return editor.call(_ATEN.sub.Tensor, other, x)
    if isinstance(other, int | float):
        if node.target is _ATEN.add.Tensor and alpha == 1:
            return None
        sign = 1 if node.target in (_ATEN.add.Tensor, _ATEN.add.Scalar) else -1
        return editor.call(_ATEN.add.Tensor, x, float(sign * alpha * other))
    if alpha == 1 or isinstance(x, int | float):
        return None
    return editor.call(node.target, x, editor.call(_ATEN.mul.Tensor, other, float(alpha)))


def quotient(editor: Editor, node: Operator) -> Operator:
    """Division by a number."""
    by = node.args[1]
    if isinstance(by, int | float):
        return editor.call(_ATEN.mul.Tensor, node.args[0], 1 / by)
    value = editor.tensor(by)
    if value is not None and value.is_floating_point():
        return editor.call(_ATEN.mul.Tensor, node.args[0], editor.constant(1 / value))
    return None


def power(editor: Editor, node: Operator) -> Operator:
    """Powers that are products, roots and reciprocals."""
    x, exponent = node.args[:2]
    if exponent == 2:
        return editor.call(_ATEN.mul.Tensor, x, x)
    if exponent == 0.5:
        return editor.call(_ATEN.sqrt.default, x)
    if exponent == -0.5:
        return editor.call(_ATEN.rsqrt.default, x)
    return editor.call(_ATEN.mul.Tensor, editor.call(_ATEN.mul.Tensor, x, x), x) if exponent == 3 else None


def reciprocal(editor: Editor, node: Operator) -> Operator:
    """`1 / x`."""
    with editor.in_float():
        return editor.call(_ATEN.div.Tensor, editor.constant(torch.ones(1)), node.args[0])


def tanh_gelu(editor: Editor, node: Operator) -> Operator:
    """GELU by tanh, written out: XNNPACK's own is the exact one."""
    x = node.args[0]
    if node.kwargs.get("approximate", "none") != "tanh":
        return None
    with editor.in_float():
        square = editor.call(_ATEN.mul.Tensor, x, x)
        factor = editor.call(_ATEN.add.Tensor, editor.call(_ATEN.mul.Tensor, square, 0.044715), 1.0)
        inner = editor.call(_ATEN.mul.Tensor, editor.call(_ATEN.mul.Tensor, x, factor), math.sqrt(2 / math.pi))
        gate = editor.call(_ATEN.add.Tensor, editor.call(_ATEN.tanh.default, inner), 1.0)
        return editor.call(_ATEN.mul.Tensor, editor.call(_ATEN.mul.Tensor, x, 0.5), gate)


RULES: dict[Any, Rule] = {
    _ATEN.hardsigmoid.default: hardsigmoid,
    _ATEN.clamp.default: clamp,
    _ATEN.clamp_min.default: clamp,
    _ATEN.clamp_max.default: clamp,
    _ATEN.relu6.default: relu6,
    _ATEN.hardtanh.default: hardtanh,
    _ATEN.mish.default: mish,
    **dict.fromkeys((_ATEN.elu.default, _ATEN.selu.default, _ATEN.celu.default), elu),
    _ATEN.softplus.default: softplus,
    _ATEN.glu.default: glu,
    _ATEN.gelu.default: tanh_gelu,
    **dict.fromkeys(
        (
            _ATEN.add.Tensor,
            _ATEN.sub.Tensor,
            _ATEN.rsub.Scalar,
            _ATEN.rsub.Tensor,
            _ATEN.add.Scalar,
            _ATEN.sub.Scalar,
        ),
        scaled_sum,
    ),
    _ATEN.div.Tensor: quotient,
    _ATEN.mul.Tensor: product,
    _ATEN.pow.Tensor_Scalar: power,
    _ATEN.square.default: lambda editor, node: editor.call(_ATEN.mul.Tensor, node.args[0], node.args[0]),
    _ATEN.reciprocal.default: reciprocal,
}
