"""Capturing a network, rewritten into operators that XNNPACK takes.

The rewrites work on the captured graph and not on types of modules, so they reach any network. Each gives what it
replaces, to float rounding.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch
from torch import nn
from torch.fx import GraphModule, Node

from edge_sdk.workbench.rewrites import (
    activations,
    attention,
    batch_norm,
    branches,
    channels_last,
    layout,
    normalisation,
    pooling,
    resize,
    shortcuts,
)
from edge_sdk.workbench.rewrites.constants import fold_constants
from edge_sdk.workbench.rewrites.editor import Editor, Rule
from edge_sdk.workbench.rewrites.precision import keep_streams
from edge_sdk.workbench.rewrites.wide_kernels import split_wide_kernels

MAX_ROUNDS = 30
"""Rounds over the graph; a rewrite may make another one possible. Most networks need four."""

_ATEN = torch.ops.aten
_WRITTEN_OUT = {
    _ATEN.einsum.default,
    _ATEN.tile.default,
    _ATEN.pixel_unshuffle.default,
    _ATEN.pixel_shuffle.default,
    _ATEN.channel_shuffle.default,
}
_KINDS = (
    batch_norm,
    shortcuts,
    layout,
    normalisation,
    attention,
    pooling,
    resize,
    channels_last,
    branches,
    activations,
)


def _rules() -> dict[Any, list[Rule]]:
    found: dict[Any, list[Rule]] = defaultdict(list)
    for kind in _KINDS:
        for target, rule in kind.RULES.items():
            found[target].append(rule)
    return found


def _composite() -> dict[Any, Any]:
    """How torch writes out the operators that are made of others and that neither XNNPACK nor a rule here knows."""
    known = {**torch.export.default_decompositions()}
    return {target: known[target] for target in known if target in _WRITTEN_OUT}


def capture(module: nn.Module, inputs: tuple[torch.Tensor]) -> GraphModule:
    """Capture a network and rewrite it.

    Args:
        module: the network, in evaluation mode; it is not changed.
        inputs: one example input, `float32 (1, 3, height, width)`, channels-last.

    Returns:
        the captured network; it gives what `module` gives, to float rounding.
    """
    exported = torch.export.export(module, inputs, strict=False)
    captured: Any = exported.run_decompositions(_composite()).module()
    rewrite(captured)
    return captured  # type: ignore[no-any-return]


def rewrite(captured: Any) -> None:
    """Rewrite a captured network in place, until no rule finds anything more."""
    editor, rules = Editor(captured), _rules()
    for node in list(editor.graph.nodes):
        if "_assert_tensor_metadata" in str(node.target):
            editor.graph.erase_node(node)
    for _ in range(MAX_ROUNDS):
        fold_constants(editor)
        if not sum([_apply(editor, node, rules) for node in list(editor.graph.nodes)]):
            break
        editor.graph.eliminate_dead_code()
    split_wide_kernels(editor)
    keep_streams(editor)
    captured.graph.lint()
    captured.recompile()


def _apply(editor: Editor, node: Node, rules: dict[Any, list[Rule]]) -> bool:
    if node.op != "call_function" or not node.users or node._erased:
        return False
    for rule in rules.get(node.target, ()):
        with editor.at(node):
            new = rule(editor, node)
        if new is not None and new is not node:
            node.replace_all_uses_with(new)
            editor.graph.erase_node(node)  # some operators with a seed would survive as dead code
            return True
    return False
