"""Int8 sums and layers rounded as XNNPACK rounds them, so that a walk in torch meets the device's own values.

Torch's emulation computes in float32 what the delegate computes in integers. They differ in one value of a hundred
thousand, where a value lies between two steps; but a deep network makes of that, layer by layer, other roundings
everywhere. What is fitted to the pictures at hand is therefore fitted to the device's roundings.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.fx import Node

from edge_sdk.workbench.walk import attribute, is_layer

_ATEN = torch.ops.aten
_CLAMPS = (_ATEN.hardtanh.default, _ATEN.hardtanh_.default, _ATEN.relu.default, _ATEN.relu_.default)
_SUMS = (_ATEN.add.Tensor, _ATEN.add_.Tensor)
_BITS = 20  # of XNNPACK's factors in a sum (`xnn_init_qs8_add_minmax_params`)


def accumulator_step(network: Any, node: Node) -> torch.Tensor | None:
    """`float32 (C,)`: one unit of an int8 layer's accumulator, its input's step times its weight's; None in float."""
    step, weight = _step_of(node.args[0]), int8_weight(node)
    if step is None or weight is None:
        return None
    found: torch.Tensor = attribute(network, weight[1]).float() * torch.tensor(step, dtype=torch.float32)
    return found


def int8_weight(node: Node) -> tuple[Node, Node] | None:
    """The codes and the steps of a layer's int8 weight, one step for each output; None where it has no such weight."""
    weight = node.args[1]
    if not isinstance(weight, Node) or "dequantize_per_channel" not in str(weight.target):
        return None
    codes, scales, axis = (weight.args[place] for place in (0, 1, 3))
    if axis != 0 or "transpose" in str(node.target) or not (isinstance(codes, Node) and isinstance(scales, Node)):
        return None
    return codes, scales


def round_as_device(
    network: Any, node: Node, values: list[torch.Tensor], inputs_of: Callable[[Node], list[Any]]
) -> None:
    """Move the outputs of an int8 layer or sum to the steps to which the delegate rounds them.

    Others, and those that are not rounded where they are, stay as they are. So does a mean, which may differ where it
    lies in the middle between two steps.

    Args:
        network: converted; biases are multiples of `accumulator_step`.
        node: of it.
        values: its outputs, one a picture; changed.
        inputs_of: as in `edge_sdk.workbench.walk.Step`.
    """
    out = _rounded_to(node)
    if out is None:
        return
    if node.target in _SUMS:
        steps = [_step_of(source) for source in node.args[:2]]
        if None not in steps and node.kwargs.get("alpha", 1) == 1:
            factors, shift = _sum_factors([one / out for one in steps if one is not None])
            for value, *terms in zip(values, *(inputs_of(source) for source in node.args[:2]), strict=True):  # type: ignore[arg-type]
                codes = [(term.double() / one).round().long() for term, one in zip(terms, steps, strict=True)]
                total = sum(code * factor for code, factor in zip(codes, factors, strict=True))
                value.copy_(((total + (1 << (shift - 1))) >> shift).float() * out)
        return
    step = accumulator_step(network, node) if is_layer(node) else None
    if step is None:
        return
    scale = step / torch.tensor(out, dtype=torch.float32)
    for value in values:
        across = [-1] if str(node.target).startswith("aten.linear") else [-1, *[1] * (value.dim() - 2)]
        sums = (value.double() / step.double().view(across)).round().float()
        value.copy_((sums * scale.view(across)).round() * out)


def _sum_factors(ratios: list[float]) -> tuple[list[int], int]:
    """The integers that stand for the ratios of steps, and the shift by which they are too large."""
    largest = max(ratios)
    shift = _BITS - (math.frexp(largest)[1] - 1)
    return [round(math.ldexp(ratio, shift)) for ratio in ratios], shift


def _step_of(source: Any) -> float | None:
    if not isinstance(source, Node) or "dequantize_per_tensor" not in str(source.target):
        return None
    return float(source.args[1]) if isinstance(source.args[1], float) else None


def _rounded_to(node: Node) -> float | None:
    """The step of the int8 value that a node's output becomes, behind a clamp if there is one."""
    users = list(node.users)
    if len(users) == 1 and users[0].target in _CLAMPS:
        users = list(users[0].users)
    steps = {user.args[1] if "quantize_per_tensor" in str(user.target) else None for user in users}
    (step,) = steps if len(steps) == 1 else (None,)
    return float(step) if isinstance(step, float) else None
