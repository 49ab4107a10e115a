"""Branches that are one layer: convolutions of the same input whose sum is taken, and factors behind a layer.

RepVGG (Ding et al. 2021, "RepVGG: Making VGG-style ConvNets Great Again", section 3.3), MobileOne, RepViT, RepGhost and
FastViT train several branches and add them; in use they are one convolution. Batch norms are in their layers by then.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from edge_sdk.workbench.rewrites.activations import scaled_layer
from edge_sdk.workbench.rewrites.editor import Editor, Operator, Rule, argument, is_call, only_user, pair, shape

_ATEN = torch.ops.aten


def merged_sum(editor: Editor, node: Operator) -> Operator:
    """`conv(x) + conv(x)`, or their difference, as one convolution."""
    if len(node.args) < 2 or node.kwargs:
        return None
    one, other = node.args
    if not all(is_call(layer, _ATEN.conv2d.default) and only_user(layer) is node for layer in (one, other)):
        return None
    if one.args[0] is not other.args[0] or shape(one) != shape(other):
        return None
    sign = -1.0 if node.target is _ATEN.sub.Tensor else 1.0
    kernels = [_Kernel(editor, layer) for layer in (one, other)]
    if any(kernel.weight is None or kernel.bias is None or kernel.dilation != [1, 1] for kernel in kernels):
        return None
    first, second = sorted(kernels, key=lambda kernel: -kernel.area)
    groups = min(first.groups, second.groups)
    if first.stride != second.stride or any(kernel.groups % groups for kernel in kernels):
        return None
    if groups != first.groups and first.area > 1:
        return None  # a large kernel would grow
    placed = second.placed_in(first)
    if placed is None:
        return None
    signs = (1.0, sign) if first is kernels[0] else (sign, 1.0)
    weight = signs[0] * regrouped(first.weight, first.groups, groups)
    weight = weight + signs[1] * regrouped(placed, second.groups, groups)
    bias = signs[0] * first.bias + signs[1] * second.bias
    settings = (first.stride, first.padding, [1, 1], groups)
    return editor.call(_ATEN.conv2d.default, one.args[0], editor.constant(weight), editor.constant(bias), *settings)


class _Kernel:
    """A convolution's settings, written out."""

    def __init__(self, editor: Editor, layer: Operator) -> None:
        given = argument(layer, 2, "bias")
        self.weight: Any = editor.tensor(layer.args[1])
        self.bias: Any = editor.tensor(given)
        if given is None and self.weight is not None:
            self.bias = torch.zeros(len(self.weight))
        self.stride, self.padding, self.dilation = (
            pair(argument(layer, at, name, default))
            for at, name, default in ((3, "stride", 1), (4, "padding", 0), (5, "dilation", 1))
        )
        self.groups = int(argument(layer, 6, "groups", 1))

    @property
    def area(self) -> int:
        return 0 if self.weight is None else int(self.weight.shape[2] * self.weight.shape[3])

    def placed_in(self, other: _Kernel) -> Any:
        """The weight with zeros around it, as large as `other`'s and over the same places; None where it cannot be."""
        borders: list[int] = []
        for axis in (1, 0):
            low = other.padding[axis] - self.padding[axis]
            high = other.weight.shape[2 + axis] - self.weight.shape[2 + axis] - low
            borders += [low, high]
        return F.pad(self.weight, borders) if min(borders) >= 0 else None


def regrouped(weight: torch.Tensor, groups: int, wanted: int) -> torch.Tensor:
    """A convolution's weight for fewer groups, with zeros where the groups did not meet.

    Args:
        weight: `(out, in / groups, height, width)`.
        groups: that it has.
        wanted: a divisor of `groups`.
    """
    if groups == wanted:
        return weight
    own, together = weight.shape[1], groups // wanted
    grown = weight.new_zeros(len(weight), own * together, *weight.shape[2:])
    each = len(weight) // groups
    for row in range(len(weight)):
        at = (row // each) % together * own
        grown[row, at : at + own] = weight[row]
    return grown


def layer_scale(editor: Editor, node: Operator) -> Operator:
    """A number, or one for each channel, behind a layer: part of its weights."""
    for layer, other in (node.args[:2], node.args[1::-1]):
        factor = torch.tensor(float(other)) if isinstance(other, int | float) else editor.tensor(other)
        if factor is None or not is_call(layer, _ATEN.conv2d.default, _ATEN.linear.default):
            continue
        axis = -3 if layer.target is _ATEN.conv2d.default else -1
        sizes = [1] * -axis
        sizes[axis] = shape(layer)[axis]
        fits = factor.numel() == 1 or (list(factor.shape)[-len(sizes) :] == sizes and factor.numel() == sizes[axis])
        if fits and only_user(layer) is node:
            return scaled_layer(editor, layer, factor, torch.tensor(0.0))
    return None


RULES: dict[Any, Rule] = {
    _ATEN.add.Tensor: merged_sum,
    _ATEN.sub.Tensor: merged_sum,
    _ATEN.mul.Tensor: layer_scale,
}
