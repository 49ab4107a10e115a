"""Which layers lose most in int8, and which to leave in float32 where int8 costs too much.

Some networks (MobileNetV3 is one) have activations that reach a hundred times further than usual, and 256 steps leave
nothing of the usual ones. Each choice is measured: the network is run with the layers in question in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edge_sdk.workbench.likeness import Likeness, likeness
from edge_sdk.workbench.segments import Segments
from edge_sdk.workbench.walk import walk

ENOUGH = 0.01
"""Error of the outputs (`Likeness.error`) below which no more layers are left in float32."""
_WORTH = 0.9  # the error must fall below this share of what it was for layers to be left in float32
_TRIED = 12  # values, those that lose most


@dataclass(frozen=True, slots=True)
class LayerLoss:
    """What int8 costs at one layer.

    Attributes:
        name: of the layer, as the network's modules are called.
        share: by which the error of the outputs falls when this layer alone computes in float32.
    """

    name: str
    share: float


class Trial:
    """A converted network that is run with some of its layers in float32.

    Attributes:
        segments: its segments.
    """

    def __init__(self, network: Any, reference: Any, inputs: Sequence[torch.Tensor], wanted: NDArray[np.float32]):
        """Prepare.

        Args:
            network: converted.
            reference: the float network that it was made from.
            inputs: one tensor a picture, each as the network takes it.
            wanted: `(N, C)`, the float network's logits for them.
        """
        self.segments = Segments(network, reference)
        self._network, self._inputs, self._wanted = network, inputs, wanted

    def compared(self, instead: Mapping[Any, Any] | None = None) -> Likeness:
        """The answers, with some nodes computed in another way, against the wanted ones."""
        rows = [walk(self._network, [picture], instead=instead)[0].numpy()[0] for picture in self._inputs]
        return likeness(np.stack(rows), self._wanted)


def layer_losses(trial: Trial, on_done: Callable[[int, int], None] | None = None) -> list[LayerLoss]:
    """What int8 costs at each layer, the most first; `on_done(done, of)` is told of each."""
    names = trial.segments.names
    whole = trial.compared().error
    found = []
    for number, name in enumerate(names):
        less = trial.compared(trial.segments.rounded_by(number)).error
        found.append(LayerLoss(name, (whole - less) / whole if whole else 0.0))
        if on_done is not None:
            on_done(number + 1, len(names))
    return sorted(found, key=lambda one: -one.share)


def choose_float_layers(
    ranking: Trial, judging: Trial, on_done: Callable[[int, int], None] | None = None
) -> frozenset[int]:
    """Segments to leave in float32, so that the outputs' error falls to `ENOUGH`, or as far as it does.

    Each int8 value between layers is taken out alone, with the layers at its ends in float32. Those whose absence
    lowers the error most are then taken out one after another, and each stays out only if the error falls by a tenth.

    Args:
        ranking: to order the values with.
        judging: to keep or drop a choice; of other pictures.
        on_done: called as `on_done(done, of)` after each value.

    Returns:
        the segments' numbers; none where nothing brings something.
    """
    values = ranking.segments.around_values()
    of = len(values) + _TRIED
    errors = []
    for number, ends in enumerate(values):
        errors.append(ranking.compared(ranking.segments.in_float(ends)).error)
        if on_done is not None:
            on_done(number + 1, of)
    order = sorted(range(len(values)), key=errors.__getitem__)[:_TRIED]
    chosen: frozenset[int] = frozenset()
    error = judging.compared().error
    for number, place in enumerate(order):
        if error <= ENOUGH:
            break
        tried = judging.compared(judging.segments.in_float(chosen | values[place])).error
        if tried < _WORTH * error:
            chosen, error = chosen | values[place], tried
        if on_done is not None:
            on_done(len(values) + number + 1, of)
    if on_done is not None:
        on_done(of, of)
    return chosen
