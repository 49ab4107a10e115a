"""Static int8 quantisation for XNNPACK; each step beyond the ranges is judged on pictures that it did not see.

Ranges are those of the least squared error on the calibration pictures, one range for a whole activation; the least and
the largest value as range gave errors of the outputs a third larger (EfficientNet-Lite0, 160x160).
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from edge_sdk.model.bundle import InputSpec
from edge_sdk.workbench.bias_correction import correct_biases
from edge_sdk.workbench.float_layers import LayerLoss, Trial, choose_float_layers, layer_losses
from edge_sdk.workbench.likeness import Likeness, likeness
from edge_sdk.workbench.observers import without_observers
from edge_sdk.workbench.segments import Segments, keep_in_float
from edge_sdk.workbench.tensors import to_tensor
from edge_sdk.workbench.walk import most_pictures

Effort = Literal["fast", "best"]
"""fast: ranges and bias correction. best: also weights fitted to int8's inputs, and float32 where it takes that."""

TOO_FAR = 0.02
"""Error of the outputs (`Likeness.error`) above which layers are left in float32."""

_APART_OF = 4  # every fourth picture is set apart to judge on
_FEWEST = 16  # pictures; of fewer, all calibrate and all are judged on
_CORRECTING, _MEMORY = 64, 2 << 30  # pictures that weights and biases are fitted on, and bytes that these may take
_RANKING, _MEASURING = 8, 4  # pictures that float layers are looked for on, and that losses are measured on


@dataclass(frozen=True, slots=True)
class Quantised:
    """An int8 network and what was done to it.

    Attributes:
        network: converted, to be lowered.
        plain: its answers by ranges alone, against the float network's.
        likeness: its answers as it is, on pictures set apart where there are 16 or more.
        corrected: whether corrected biases were kept.
        rounded: whether weights fitted and rounded with the inputs in view were kept.
        float_layers: names of the layers with weights that stay in float32.
        losses: what int8 costs at each layer, the most first; with "best".
    """

    network: Any
    plain: Likeness
    likeness: Likeness
    corrected: bool = False
    rounded: bool = False
    float_layers: tuple[str, ...] = ()
    losses: tuple[LayerLoss, ...] = ()


def quantise(
    captured: Any,
    pixels: NDArray[np.uint8],
    spec: InputSpec,
    wanted: NDArray[np.float32],
    *,
    effort: Effort = "best",
    spare: bool = True,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Quantised:
    """Quantise a captured network to int8; each step beyond the ranges is kept where it helps.

    Ranges are of all pictures. Every fourth is set apart from the steps that follow, and what is kept of these is
    judged on it.

    Args:
        captured: by `torch.export`.
        pixels: `uint8 (N, H, W, 3)`, calibration pictures at the network's input size.
        spec: what the network takes.
        wanted: `(N, C)`, the float network's logits for them.
        effort: which steps are tried.
        spare: whether layers may stay in float32 (with "best").
        on_progress: told what runs, on how many pictures it has, and of how many.
    """
    judged = np.arange(len(pixels)) % _APART_OF == _APART_OF - 1
    if len(pixels) < _FEWEST:
        judged[:] = True
    working = ~judged if not judged.all() else judged
    work = _Work(captured, pixels, wanted, working, judged, spec, on_progress)
    found = work.converted(frozenset(), rounding=effort == "best")
    if effort == "fast":
        return found
    if spare and found.likeness.error > TOO_FAR:
        chosen = choose_float_layers(
            work.trial(found.network, _RANKING),
            work.judge(found.network),
            work.told("looking for layers that need float32"),
        )
        if chosen:
            spared = work.converted(chosen, rounding=True)
            found = spared if spared.likeness.better_than(found.likeness) else found
    losses = layer_losses(work.trial(found.network, _MEASURING), work.told("measuring what each layer loses"))
    return dataclasses.replace(found, losses=tuple(losses))


class _Work:
    """A network prepared for int8, the pictures, and the steps that are tried."""

    def __init__(
        self,
        captured: Any,
        pixels: NDArray[np.uint8],
        wanted: NDArray[np.float32],
        working: NDArray[np.bool_],
        judged: NDArray[np.bool_],
        spec: InputSpec,
        on_progress: Callable[[str, int, int], None] | None,
    ) -> None:
        from torchao.quantization.pt2e.quantize_pt2e import prepare_pt2e

        from edge_sdk.workbench.quantizer import FusingQuantizer

        self._on_progress, self._spec = on_progress, spec
        self._wanted, self._judged, self._judged_wanted = wanted[working], pixels[judged], wanted[judged]
        self._prepared = prepare_pt2e(captured, FusingQuantizer())
        logits_of(self._prepared, pixels, spec, self.told("calibrating int8"))
        self._reference = without_observers(copy.deepcopy(self._prepared))
        most = min(_CORRECTING, most_pictures(self._reference, example(pixels[:1], spec), _MEMORY // 2))
        self._inputs, self._all = (
            [example(some[at : at + 1], spec) for at in range(min(most, len(some)))]
            for some in (pixels[working], pixels)
        )

    def told(self, what: str) -> Callable[[int, int], None] | None:
        show = self._on_progress
        return None if show is None else lambda done, of: show(what, done, of)

    def trial(self, network: Any, pictures: int) -> Trial:
        """On pictures that the network was calibrated on."""
        return Trial(network, self._reference, self._inputs[:pictures], self._wanted[:pictures])

    def judge(self, network: Any) -> Trial:
        """On the pictures set apart."""
        inputs = [example(self._judged[at : at + 1], self._spec) for at in range(len(self._judged))]
        return Trial(network, self._reference, inputs, self._judged_wanted)

    def converted(self, floats: frozenset[int], *, rounding: bool) -> Quantised:
        """The network in int8 but for some segments, with what helps of bias correction and rounding."""
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e

        network = convert_pt2e(keep_in_float(copy.deepcopy(self._prepared), floats))
        names = Segments(network, self._reference).names
        spared = f" with {len(floats)} layers in float32" if floats else ""
        plain = self._compared(network, f"trying int8{spared}")
        found = Quantised(network, plain, plain, float_layers=tuple(names[number] for number in sorted(floats)))
        for rounded in (False, True) if rounding else (False,):
            better, what = copy.deepcopy(network), "fitting weights" if rounded else "correcting biases"
            correct_biases(better, self._reference, self._inputs, self.told(f"{what}{spared}"), rounding=rounded)
            now = self._compared(better, f"trying the {'fitted weights' if rounded else 'corrected biases'}{spared}")
            if now.better_than(found.likeness):
                found = dataclasses.replace(found, network=better, likeness=now, corrected=True, rounded=rounded)
        if found.corrected and len(self._all) > len(self._inputs):  # few pictures: those that judged are worth more now
            tell = self.told(f"the same with all pictures{spared}")
            correct_biases(network, self._reference, self._all, tell, rounding=found.rounded)
            found = dataclasses.replace(found, network=network)
        return found

    def _compared(self, network: Any, what: str) -> Likeness:
        return likeness(logits_of(network, self._judged, self._spec, self.told(what)), self._judged_wanted)


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
