"""A converted network cut into segments: a layer with weights, and what follows it up to the next one.

A segment is what int8 or float32 is chosen for. A value between two segments stays in int8 as long as one of its ends
does, so float32 brings most where neighbours have it together.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import Any

from torch.fx import Node

from edge_sdk.workbench.observers import remove_observers
from edge_sdk.workbench.walk import attribute, is_layer, module_of

_QUANTISE = "quantized_decomposed.quantize_per_tensor"
_WEIGHT = "quantized_decomposed.dequantize_per_channel"


class Segments:
    """The segments of a network, numbered in the order in which they run.

    Attributes:
        names: of the layers, as the network's modules are called.
    """

    def __init__(self, network: Any, reference: Any) -> None:
        """Cut.

        Args:
            network: converted.
            reference: the float network that it was made from.
        """
        self._nodes = list(network.graph.nodes)
        self._of = _segments(self._nodes)
        weights = {node.name: node.args[1] for node in reference.graph.nodes if is_layer(node)}
        self._layers = [node for node in self._nodes if is_layer(node)]
        self.names = [_module(node, weights.get(node.name)) for node in self._layers]
        self._floats = [
            attribute(reference, weights[node.name]) if node.name in weights else None for node in self._layers
        ]

    def around_values(self) -> list[frozenset[int]]:
        """For each int8 value between layers, the segments that it joins: of its source and of its users."""
        ends = [self._ends(node) for node in self._nodes if _is(node, _QUANTISE)]
        return list(dict.fromkeys(frozenset(one) for one in ends if None not in one))  # type: ignore[arg-type]

    def rounded_by(self, number: int) -> dict[Node, Callable[..., Any]]:
        """What to compute instead so that nothing of this segment is rounded, neither weights nor outputs."""
        return self._bypass({number}, lambda node: self._of[node.all_input_nodes[0]] == number)

    def in_float(self, chosen: Set[int]) -> dict[Node, Callable[..., Any]]:
        """What to compute instead so that these segments run in float32, as `keep_in_float` has them exported."""
        return self._bypass(chosen, lambda node: self._ends(node) <= {*chosen})

    def _bypass(self, chosen: Set[int], unrounded: Callable[[Node], bool]) -> dict[Node, Callable[..., Any]]:
        instead: dict[Node, Callable[..., Any]] = {}
        for node in self._nodes:
            if _is(node, _QUANTISE) and unrounded(node):
                instead |= dict.fromkeys([node, *node.users], lambda value, *_, **__: value)
        for number in chosen:
            weight = self._layers[number].args[1]
            if isinstance(weight, Node) and _is(weight, _WEIGHT) and self._floats[number] is not None:
                instead[weight] = lambda *_, value=self._floats[number], **__: value
        return instead

    def _ends(self, quantised: Node) -> set[int | None]:
        """The segments that a quantised value joins; the network's output is in none."""
        users = [user for back in quantised.users for user in back.users if user.op != "output"]
        return {self._of[quantised.all_input_nodes[0]], *(self._of[user] for user in users)}


def keep_in_float(prepared: Any, chosen: Set[int]) -> Any:
    """Remove the observers from these segments of a prepared network, so that they stay in float32; returns it."""
    nodes = list(prepared.graph.nodes)
    segment = _segments(nodes)

    def inside(source: Node, observer: Node) -> bool:
        users = [user for user in observer.users if user.op != "output"]
        if source.op == "get_attr":
            return all(is_layer(user) and segment[user] in chosen for user in users)
        return {segment[source], *(segment[user] for user in users)} <= chosen

    remove_observers(prepared, inside)
    return prepared


def _segments(nodes: list[Node]) -> dict[Node, int | None]:
    """The segment of each node; None before the first layer."""
    found: dict[Node, int | None] = {}
    number = -1
    for node in nodes:
        number += is_layer(node)
        found[node] = number if number >= 0 else None
    return found


def _is(node: Node, name: str) -> bool:
    return node.op == "call_function" and name in str(node.target)


def _module(node: Node, weight: Any) -> str:
    """The module that a layer stands in; where normalisation was folded into it, that of the normalisation."""
    return module_of(node) or (str(weight.target).removesuffix(".weight") if isinstance(weight, Node) else node.name)
