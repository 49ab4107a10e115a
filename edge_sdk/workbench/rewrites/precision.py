"""What stays in float32 beside the norms: the sums of a residual stream that norms read.

Such a stream collects the outputs of all blocks and grows with them; a norm brings each place back to its own scale
before the next layer. One int8 range for the whole stream would lose the small places. So do sums of probabilities.
"""

from __future__ import annotations

import torch

from edge_sdk.workbench.rewrites.editor import KEEPS_FLOAT, Editor, Operator, is_call

_ATEN = torch.ops.aten
_SUMS = (_ATEN.add.Tensor, _ATEN.sub.Tensor, _ATEN.cat.default)
_FLOAT_ONLY = (
    _ATEN.div.Tensor,
    _ATEN.sqrt.default,
    _ATEN.rsqrt.default,
    _ATEN.exp.default,
    _ATEN.log.default,
    _ATEN.softmax.int,
    _ATEN.bmm.default,
)  # in XNNPACK; what they read may span orders of magnitude, and nothing is won by rounding it to int8 before
_MOVES = (_ATEN.view_copy.default, _ATEN.permute.default, _ATEN.slice.Tensor)


def keep_streams(editor: Editor) -> None:
    """Mark sums and concatenations that a float operator reads, and those that they read, until nothing changes."""
    for node in editor.graph.nodes:
        if is_call(node, *_FLOAT_ONLY) or (is_call(node, _ATEN.linear.default) and _probabilities(node.args[0])):
            node.meta[KEEPS_FLOAT] = True
    nodes = [node for node in editor.graph.nodes if is_call(node, *_SUMS, _ATEN.mul.Tensor, *_MOVES)]
    streams: set[torch.fx.Node] = set()
    size = -1
    while size != len(streams):
        size = len(streams)
        for node in reversed(nodes):
            if node in streams or KEEPS_FLOAT in node.meta:
                continue
            read = any(KEEPS_FLOAT in user.meta or user in streams for user in node.users)
            moved = is_call(node, *_MOVES)
            if (moved and node.users and all(KEEPS_FLOAT in user.meta or user in streams for user in node.users)) or (
                not moved and read
            ):
                streams.add(node)
    for node in streams:
        if not is_call(node, *_MOVES):
            node.meta[KEEPS_FLOAT] = True


def _probabilities(node: Operator) -> bool:
    """Whether these are probabilities of classes; of 256 steps, the sum of many small ones would be lost."""
    while is_call(node, *_MOVES):
        node = node.args[0]
    return is_call(node, _ATEN.softmax.int)
