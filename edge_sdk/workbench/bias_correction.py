"""Bias correction: int8 shifts the mean of a layer's outputs, and the layer's bias takes the shift back.

Rounded weights err in one direction for all pictures alike, most in depthwise layers of few weights. The mean output of
each channel is measured on pictures, in float and in int8, and the difference goes into the bias (Nagel et al.,
Data-Free Quantization Through Weight Equalization and Bias Correction, arXiv 1906.04721, section 4.2, the empirical
variant). Layers are corrected in order, each on inputs that the corrected layers before it give; both networks run side
by side, a layer at a time. A bias is rounded as the delegate rounds it, so that the pictures show the device's answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.fx import Node

from edge_sdk.workbench.device_rounding import accumulator_step, round_as_device
from edge_sdk.workbench.rewrites.editor import KEEPS_FLOAT, argument
from edge_sdk.workbench.rounding import fit_layer
from edge_sdk.workbench.walk import attribute, is_layer, steps

_BIAS = 2  # its place among the arguments of a convolution or a linear layer


def correct_biases(
    quantised: Any,
    reference: Any,
    inputs: Sequence[torch.Tensor],
    on_done: Callable[[int, int], None] | None = None,
    *,
    rounding: bool = False,
) -> None:
    """Change the biases of a quantised network so that each layer's mean output is the float network's.

    Args:
        quantised: a converted network; its biases are replaced, and layers without one get one.
        reference: the float network that it was made from; layers are matched by the names of their nodes.
        inputs: one tensor a picture, each as the network takes it.
        on_done: called as `on_done(done, of)`, in nodes.
        rounding: fit and round each layer's weights anew first, with these pictures in view
            (`edge_sdk.workbench.rounding`).
    """
    layers = [node for node in reference.graph.nodes if is_layer(node) and KEEPS_FLOAT not in node.meta]
    floats = {node.name: node for node in layers}
    nodes = list(quantised.graph.nodes)
    place = {node: number for number, node in enumerate(nodes)}
    beside = steps(reference, inputs)
    with torch.no_grad():
        for node, values, inputs_of in steps(quantised, inputs):
            if is_layer(node) and node.name in floats:
                wanted = next(step.values for step in beside if step.node.name == node.name)
                if rounding:
                    weight = attribute(reference, floats[node.name].args[1])
                    fit_layer(quantised, node, weight, inputs_of(node.all_input_nodes[0]), values, wanted)
                _correct_bias(quantised, node, values, _mean(node, wanted))
            round_as_device(quantised, node, values, inputs_of)
            if on_done is not None:
                on_done(place[node], len(nodes))
    quantised.graph.eliminate_dead_code()
    quantised.recompile()
    if on_done is not None:
        on_done(len(nodes), len(nodes))


def _correct_bias(network: Any, node: Node, values: list[torch.Tensor], wanted: torch.Tensor) -> None:
    """Give a layer the bias with which its outputs have the means `wanted`, `(C,)`, and change its values to it."""
    given = argument(node, _BIAS, "bias")
    before = attribute(network, given).detach().double() if isinstance(given, Node) else torch.zeros_like(wanted)
    bias = before + wanted - _mean(node, values)
    step = accumulator_step(network, node)
    if step is not None:
        bias = (bias / step.double()).round() * step.double()
    change = (bias - before).to(values[0].dtype)
    for value in values:
        value += change.view(-1, *[1] * (value.dim() - 2)) if _channel(node) == 1 else change
    _set_bias(network, node, bias.to(values[0].dtype))


def _channel(node: Node) -> int:
    return -1 if str(node.target).startswith("aten.linear") else 1


def _mean(node: Node, values: list[torch.Tensor]) -> torch.Tensor:
    """`float64 (C,)`: the mean of each output channel over positions and pictures."""
    rows = [value.movedim(_channel(node), 0).flatten(1).mean(1, dtype=torch.float64) for value in values]
    return torch.stack(rows).mean(0)


def _set_bias(network: Any, node: Node, bias: torch.Tensor) -> None:
    """Give a layer a bias of its own."""
    before = argument(node, _BIAS, "bias")
    if (
        isinstance(before, Node)
        and len(before.users) == 1
        and sum(other.target == before.target for other in network.graph.nodes) == 1
    ):
        attribute(network, before).data.copy_(bias)  # a second parameter would be stored beside the first
        return
    name = f"corrected_{node.name}_bias"
    network.register_parameter(name, nn.Parameter(bias, requires_grad=False))
    with network.graph.inserting_before(node):
        own = network.graph.get_attr(name)
    if len(node.args) > _BIAS:
        node.update_arg(_BIAS, own)
    else:
        node.update_kwarg("bias", own)
