"""A captured network run node by node over many pictures at once.

Each node runs on all pictures before the next node does, so a change at one node is seen by all that follow, in one
pass. A value is freed after its last use. The graph's batch of one stays: every picture has a tensor of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import torch
from torch.fx import Node
from torch.fx.node import map_arg


class Step(NamedTuple):
    """One node of a network that has run on all pictures.

    Attributes:
        node: which.
        values: one tensor a picture; they may be changed before the next step.
        inputs_of: gives the values of a node that this one takes.
    """

    node: Node
    values: list[torch.Tensor]
    inputs_of: Callable[[Node], list[Any]]


OnNode = Callable[[Node, list[torch.Tensor], Callable[[Node], list[Any]]], None]
"""Called as `on_node(node, values, inputs_of)` after a node has run. `values` holds one tensor a picture, and may be
changed; `inputs_of(source)` gives those of a node that it takes."""

_LAYERS = ("aten.conv", "aten.linear")
_LIVE_AT_ONCE = 4  # tensors of the largest size: a layer's input, output, and both once more as int8 and back


def walk(
    network: Any,
    inputs: Sequence[torch.Tensor],
    on_node: OnNode | None = None,
    instead: Mapping[Node, Callable[..., Any]] | None = None,
) -> list[torch.Tensor]:
    """Run a captured network on many pictures.

    Args:
        network: a `GraphModule` of one input and one output; modes and weights stay.
        inputs: one tensor a picture, each as the network takes it.
        on_node: told of each node whose values depend on the picture.
        instead: what some nodes compute in place of their own, of the same arguments.

    Returns:
        the outputs, one a picture.
    """
    outputs: list[torch.Tensor] = []
    for step in steps(network, inputs, instead):
        if step.node.op == "output":
            outputs = step.values
        elif on_node is not None:
            on_node(step.node, step.values, step.inputs_of)
    return outputs


def steps(
    network: Any, inputs: Sequence[torch.Tensor], instead: Mapping[Node, Callable[..., Any]] | None = None
) -> Iterator[Step]:
    """Run a captured network as `walk` does and stop after each node, so that two networks can be run side by side.

    Args:
        network: as for `walk`.
        inputs: as for `walk`.
        instead: as for `walk`.

    Yields:
        each node whose values depend on the picture and are tensors; last the output with the network's outputs.
    """
    nodes = list(network.graph.nodes)
    sources = {node: node.all_input_nodes for node in nodes}  # as they are now: the caller may change the graph
    last = {source: node for node in nodes for source in sources[node]}
    fixed: dict[Node, Any] = {}
    each: dict[Node, list[Any]] = {}
    changed = instead or {}

    def inputs_of(source: Node) -> list[Any]:
        return each[source] if source in each else [fixed[source]] * len(inputs)

    for node in nodes:
        if node.op == "placeholder":
            each[node] = list(inputs)
        elif node.op == "output":
            (output,) = sources[node]
            yield Step(node, each[output], inputs_of)
            return
        elif not any(source in each for source in sources[node]):
            fixed[node] = _run(network, node, fixed, changed)
        else:
            varying = [source for source in sources[node] if source in each]
            values = each[node] = [
                _run(network, node, fixed | {source: each[source][at] for source in varying}, changed)
                for at in range(len(inputs))
            ]
            if all(isinstance(value, torch.Tensor) for value in values):
                yield Step(node, values, inputs_of)
        for source in sources[node]:
            if last[source] is node:
                each.pop(source, None)
                fixed.pop(source, None)


def most_pictures(network: Any, picture: torch.Tensor, memory: int) -> int:
    """How many pictures `walk` can take within so many bytes, roughly; at least one."""
    sizes = [0]
    walk(network, [picture], lambda _, values, __: sizes.append(values[0].numel() * values[0].element_size()))
    return max(1, memory // max(1, _LIVE_AT_ONCE * max(sizes)))


def attribute(network: Any, node: Node) -> Any:
    """The weight or constant that a `get_attr` node stands for."""
    return attrgetter(str(node.target))(network)


def is_layer(node: Node) -> bool:
    """Whether a node of a captured network is a convolution or a linear layer."""
    return node.op == "call_function" and str(node.target).startswith(_LAYERS)


def module_of(node: Node) -> str:
    """The path of the module that a node of a captured network stands in; "" where none is known."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return str(stack[-1][0]).removeprefix("L__self__").strip(".") if stack else ""


def _run(network: Any, node: Node, known: dict[Node, Any], instead: Mapping[Node, Callable[..., Any]]) -> Any:
    if node.op == "get_attr":
        return attribute(network, node)
    arguments, options = map_arg((node.args, node.kwargs), known.__getitem__)
    with torch.no_grad():  # not inference mode: what is made of the values may become a weight
        if node in instead:
            return instead[node](*arguments, **options)
        if node.op == "call_module":
            return network.get_submodule(node.target)(*arguments, **options)
        if node.op == "call_method":
            return getattr(arguments[0], str(node.target))(*arguments[1:], **options)
        return node.target(*arguments, **options)  # type: ignore[operator]
