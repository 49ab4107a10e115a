"""Static int8 quantisation for XNNPACK, judged on pictures that did not calibrate it.

Ranges are the calibration pictures', one for a whole activation. Some networks (MobileNetV3 is one) have activations in
their last layers that reach a hundred times further than usual, and 256 steps leave nothing of the usual ones. In
float32 those layers cost little time, because they see few pixels, but four bytes a weight.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edge_sdk.model.bundle import InputSpec
from edge_sdk.workbench.bias_correction import correct_biases, is_layer
from edge_sdk.workbench.likeness import Likeness, likeness
from edge_sdk.workbench.tensors import to_tensor
from edge_sdk.workbench.walk import most_pictures

ENOUGH_ALIKE, TOO_FAR = 0.95, 0.9
"""Shares of pictures on which int8 names the float network's class. If pure int8 is below the second value, last layers
stay in float32, one, two, four and so on, until the share reaches the first."""

_APART_OF = 4  # every fourth picture is set apart to judge on
_FEWEST = 16  # pictures; of fewer, all calibrate and all are judged on
_CORRECTING, _MEMORY = 64, 2 << 30  # pictures that biases are corrected on, and bytes that these may take


@dataclass(frozen=True, slots=True)
class Quantised:
    """An int8 network and what was done to it.

    Attributes:
        network: converted, to be lowered.
        plain: its answers before the biases were corrected, against the float network's.
        likeness: its answers, on pictures that did not calibrate it where there are 16 or more.
        corrected: whether the corrected biases were kept.
        float_layers: number of last layers with weights that stay in float32.
    """

    network: Any
    plain: Likeness
    likeness: Likeness
    corrected: bool
    float_layers: int


def quantise(
    captured: Any,
    pixels: NDArray[np.uint8],
    spec: InputSpec,
    wanted: NDArray[np.float32],
    *,
    spare: bool = True,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Quantised:
    """Quantise a captured network to int8, and correct its biases where that helps.

    Every fourth picture is set apart: it calibrates nothing, and what is kept of the steps is judged on it.

    Args:
        captured: by `torch.export`.
        pixels: `uint8 (N, H, W, 3)`, calibration pictures at the network's input size.
        spec: what the network takes.
        wanted: `(N, C)`, the float network's logits for them.
        spare: leave the last layers in float32 where int8 changes too many answers.
        on_progress: told what runs, on how many pictures it has, and of how many.
    """
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    from edge_sdk.workbench.quantizer import FusingQuantizer, without_observers

    def told(what: str) -> Callable[[int, int], None] | None:
        return None if on_progress is None else lambda done, of: on_progress(what, done, of)

    judged = np.arange(len(pixels)) % _APART_OF == _APART_OF - 1
    if len(pixels) < _FEWEST:
        judged[:] = True
    calibrating = pixels[~judged] if not judged.all() else pixels
    prepared = prepare_pt2e(captured, FusingQuantizer())
    logits_of(prepared, calibrating, spec, told("calibrating int8"))
    reference = without_observers(copy.deepcopy(prepared))
    inputs = [example(calibrating[at : at + 1], spec) for at in range(min(_CORRECTING, len(calibrating)))]
    inputs = inputs[: most_pictures(reference, inputs[0], _MEMORY)]

    def compared(network: Any, what: str) -> Likeness:
        return likeness(logits_of(network, pixels[judged], spec, told(what)), wanted[judged])

    def converted(floats: int) -> Quantised:
        network = convert_pt2e(_with_float_tail(copy.deepcopy(prepared), floats))
        what = f" with the last {floats} layers in float32" if floats else ""
        plain = compared(network, f"trying int8{what}")
        better = copy.deepcopy(network)
        correct_biases(better, reference, inputs, told(f"correcting biases{what}"))
        corrected = compared(better, f"trying the corrected biases{what}")
        if corrected.better_than(plain):
            return Quantised(better, plain, corrected, True, floats)
        return Quantised(network, plain, plain, False, floats)

    tried = [converted(0)]
    if not spare or tried[0].likeness.agreement >= TOO_FAR:
        return tried[0]
    layers = sum(is_layer(node) for node in prepared.graph.nodes)
    floats = 1
    while floats < layers:
        tried.append(converted(floats))
        if tried[-1].likeness.agreement >= ENOUGH_ALIKE:
            return tried[-1]
        floats *= 2
    return max(tried, key=lambda one: one.likeness.agreement)


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
    from edge_sdk.workbench.quantizer import remove_observers

    if not layers:
        return prepared
    nodes = list(prepared.graph.nodes)
    weighted = [node for node in nodes if is_layer(node)]
    tail = set(nodes[nodes.index(weighted[-layers]) :])
    remove_observers(
        prepared, lambda source, node: source in tail or (source.op == "get_attr" and tail.issuperset(node.users))
    )
    return prepared
