"""Observers of a network prepared for int8: what has none stays in float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def observers_of(prepared: Any) -> list[torch.fx.Node]:
    """The observers of a prepared network; each reads one value."""
    return [
        node
        for node in prepared.graph.nodes
        if node.op == "call_module" and str(node.target).startswith("activation_post_process")
    ]


def remove_observers(prepared: Any, chosen: Callable[[torch.fx.Node, torch.fx.Node], bool]) -> None:
    """Remove from a prepared network each observer for which `chosen(what it observes, observer)` holds."""
    for node in observers_of(prepared):
        source = node.all_input_nodes[0]
        if chosen(source, node):
            node.replace_all_uses_with(source)
            prepared.graph.erase_node(node)
    prepared.recompile()


def without_observers(prepared: Any) -> Any:
    """Remove all observers from a prepared network: the float network with folded normalisation; returns it."""
    remove_observers(prepared, lambda source, node: True)
    return prepared
