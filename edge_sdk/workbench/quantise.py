"""Static int8 quantisation for XNNPACK; the last layers stay in float32 where int8 would change too many answers.

Ranges are the calibration pictures', one for a whole activation. Some networks (MobileNetV3 is one) have activations in
their last layers that reach a hundred times further than usual, and 256 steps leave nothing of the usual ones. In
float32 those layers cost little time, because they see few pixels, but four bytes a weight.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edge_sdk.model.bundle import InputSpec
from edge_sdk.workbench.tensors import to_tensor

ENOUGH_ALIKE, TOO_FAR = 0.95, 0.9
"""Shares of pictures on which int8 names the float network's class. If pure int8 is below the second value, last layers
stay in float32, one, two, four and so on, until the share reaches the first."""

_JUDGED = 128  # pictures
_WEIGHTED = ("aten.conv2d", "aten.linear")


def quantise(
    captured: Any,
    pixels: NDArray[np.uint8],
    spec: InputSpec,
    wanted: NDArray[np.int64] | None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> tuple[Any, int]:
    """Quantise a captured network to int8.

    Args:
        captured: by `torch.export`.
        pixels: `uint8 (N, H, W, 3)`, calibration pictures at the network's input size.
        spec: what the network takes.
        wanted: `(N,)`, the float network's classes; None: every layer becomes int8, however many answers change.
        on_progress: told what runs, on how many pictures it has, and of how many.

    Returns:
        the converted network, and how many of its last layers with weights stay in float32.
    """
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    from edge_sdk.workbench.quantizer import FusingQuantizer

    prepared = prepare_pt2e(captured, FusingQuantizer())

    def told(what: str) -> Callable[[int, int], None] | None:
        return None if on_progress is None else lambda done, of: on_progress(what, done, of)

    logits_of(prepared, pixels, spec, told("calibrating int8"))
    if wanted is None:
        return convert_pt2e(prepared), 0
    layers = sum(_has_weights(node) for node in prepared.graph.nodes)
    floats, tried = 0, []
    while floats < layers:
        network = convert_pt2e(_with_float_tail(copy.deepcopy(prepared), floats))
        what = f"trying int8 with the last {floats} layers in float32" if floats else "trying int8"
        alike = float((logits_of(network, pixels[:_JUDGED], spec, told(what)).argmax(1) == wanted[:_JUDGED]).mean())
        tried.append((alike, network, floats))
        if alike >= (ENOUGH_ALIKE if floats else TOO_FAR):
            return network, floats
        floats = max(1, 2 * floats)
    _, network, floats = max(tried, key=lambda one: one[0])
    return network, floats


def example(pixels: NDArray[np.uint8], spec: InputSpec) -> torch.Tensor:
    """One picture as the network's input; channels-last, the layout of the device's pixels."""
    return to_tensor(pixels[:1], spec).contiguous(memory_format=torch.channels_last)


def logits_of(
    module: Any, pixels: NDArray[np.uint8], spec: InputSpec, on_done: Callable[[int, int], None] | None = None
) -> NDArray[np.float32]:
    """Logits `float32 (N, C)` of a network that takes one picture at a time; `on_done(done, of)` is told of each."""
    rows = []
    with torch.inference_mode():
        for index in range(len(pixels)):
            rows.append(module(example(pixels[index : index + 1], spec)).numpy()[0])
            if on_done is not None:
                on_done(index + 1, len(pixels))
    return np.stack(rows).astype(np.float32)


def _with_float_tail(prepared: Any, layers: int) -> Any:
    """Remove the observers from the last `layers` layers with weights, so that these stay in float32."""
    if not layers:
        return prepared
    nodes = list(prepared.graph.nodes)
    weighted = [node for node in nodes if _has_weights(node)]
    tail = set(nodes[nodes.index(weighted[-layers]) :])
    for node in nodes:
        if node.op != "call_module" or not str(node.target).startswith("activation_post_process"):
            continue
        source = node.all_input_nodes[0]
        if source in tail or (source.op == "get_attr" and tail.issuperset(node.users)):
            node.replace_all_uses_with(source)
            prepared.graph.erase_node(node)
    prepared.recompile()
    return prepared


def _has_weights(node: torch.fx.Node) -> bool:
    return node.op == "call_function" and str(node.target).startswith(_WEIGHTED)
