"""Bias correction: int8 shifts the mean of a layer's outputs, and the layer's bias takes the shift back.

Rounded weights err in one direction for all pictures alike, most in depthwise layers of few weights. The mean output of
each channel is measured on pictures, in float and in int8, and the difference goes into the bias (Nagel et al.,
Data-Free Quantization Through Weight Equalization and Bias Correction, arXiv 1906.04721, section 4.2, the empirical
variant). Layers are corrected in order, each on inputs that the corrected layers before it give.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.fx import Node

from edge_sdk.workbench.rewrites.editor import argument
from edge_sdk.workbench.rounding import round_layer
from edge_sdk.workbench.walk import attribute, walk

_LAYERS = ("aten.conv", "aten.linear")
_BIAS = 2  # its place among the arguments of a convolution or a linear layer


def is_layer(node: Node) -> bool:
    """Whether a node of a captured network is a convolution or a linear layer."""
    return node.op == "call_function" and str(node.target).startswith(_LAYERS)


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
        on_done: called as `on_done(done, of)`, in nodes and pictures.
        rounding: round each layer's weights anew first, with these pictures in view (`edge_sdk.workbench.rounding`).
    """
    nodes = len(quantised.graph.nodes)
    of, seen = len(inputs) + nodes, 0
    wanted: dict[str, torch.Tensor] = {}

    def tell(done: int) -> None:
        if on_done is not None:
            on_done(done, of)

    def gather(node: Node, values: list[torch.Tensor], _: Any) -> None:
        if is_layer(node):
            wanted[node.name] = wanted.get(node.name, 0) + _mean(node, values) / len(inputs)

    for number, picture in enumerate(inputs):
        walk(reference, [picture], gather)
        tell(number + 1)

    def correct(node: Node, values: list[torch.Tensor], inputs_of: Callable[[Node], list[Any]]) -> None:
        nonlocal seen
        seen += 1
        tell(len(inputs) + seen)
        if is_layer(node) and node.name in wanted:
            if rounding and node.name in floats:
                weight = attribute(reference, floats[node.name])
                round_layer(quantised, node, weight, inputs_of(node.all_input_nodes[0]), values)
            shift = (wanted[node.name] - _mean(node, values)).to(values[0].dtype)
            for value in values:
                value += shift.view(-1, *[1] * (value.dim() - 2)) if _channel(node) == 1 else shift
            _add_to_bias(quantised, node, shift)

    floats: dict[str, Node] = {node.name: node.args[1] for node in reference.graph.nodes if is_layer(node)}
    walk(quantised, inputs, correct)
    quantised.graph.eliminate_dead_code()
    quantised.recompile()
    tell(of)


def _channel(node: Node) -> int:
    return -1 if str(node.target).startswith("aten.linear") else 1


def _mean(node: Node, values: list[torch.Tensor]) -> torch.Tensor:
    """`float64 (C,)`: the mean of each output channel over positions and pictures."""
    rows = [value.movedim(_channel(node), 0).flatten(1).mean(1, dtype=torch.float64) for value in values]
    return torch.stack(rows).mean(0)


def _add_to_bias(network: Any, node: Node, shift: torch.Tensor) -> None:
    """Give a layer a bias of its own, `shift` more than the one it has."""
    before = argument(node, _BIAS, "bias")
    bias = shift.clone()
    if isinstance(before, Node):
        if len(before.users) == 1 and sum(other.target == before.target for other in network.graph.nodes) == 1:
            attribute(network, before).data.add_(shift)  # a second parameter would be stored beside the first
            return
        bias += attribute(network, before).detach()
    name = f"corrected_{node.name}_bias"
    network.register_parameter(name, nn.Parameter(bias, requires_grad=False))
    with network.graph.inserting_before(node):
        own = network.graph.get_attr(name)
    if len(node.args) > _BIAS:
        node.update_arg(_BIAS, own)
    else:
        node.update_kwarg("bias", own)
