"""Constants computed once: what depends on no picture is evaluated and stored.

Position tables, attention biases, standardised weights and masks are computed anew for each picture in the captured
network, by operators that XNNPACK does not take.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.fx import Node
from torch.fx.node import map_arg

from edge_sdk.workbench.rewrites.editor import Editor


def fold_constants(editor: Editor) -> None:
    """Replace every operator that reads constants alone, or nothing, by its value."""
    values: dict[Node, Any] = {}
    for node in list(editor.graph.nodes):
        if node.op == "get_attr":
            value = editor.tensor(node)
            if value is not None:
                values[node] = value
        elif node.op == "call_function" and _repeatable(node) and all(one in values for one in node.all_input_nodes):
            given = map_arg((node.args, node.kwargs), lambda one: values[one])
            with torch.no_grad():
                values[node] = node.target(*given[0], **given[1])
    for node, value in values.items():
        if node.op == "get_attr" or not isinstance(value, torch.Tensor):
            continue
        readers = [user for user in node.users if user not in values]
        if readers:
            with editor.at(node):
                constant = editor.constant(value.clone())
            for user in readers:
                user.replace_input_with(node, constant)
    editor.graph.eliminate_dead_code()


def _repeatable(node: Node) -> bool:
    tags = getattr(node.target, "tags", ())
    return torch.Tag.nondeterministic_seeded not in tags and "assert" not in str(node.target)
