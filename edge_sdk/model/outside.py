"""Frames that look like none of calibration: a rule on the energy of the logits.

A network may be sure of a frame that shows nothing it was trained on. The log of the sum of the exponentials of its
logits can tell what the confidence cannot: the softmax divides it away. Liu, Wang, Owens & Li, "Energy-based
out-of-distribution detection", NeurIPS 2020, section 3; their energy is this value with the sign turned, at
temperature 1. It costs nothing beside the pass that is made anyway.
"""

from __future__ import annotations

import math
from typing import Annotated

import msgspec
from msgspec import Meta

from edge_sdk.types import Prediction


class OutsideRule(msgspec.Struct, frozen=True, kw_only=True):
    """Which confident frames are offloaded, since they look like none of calibration.

    Attributes:
        least: per class, in the order of the bundle's labels, the energy below which a frame named so is outside.
        share: of the calibration frames that exit, those below it.
        gain: what a second opinion on such a frame counts as, in [0, 1]. Calibration has no such frames, so nothing
            measures it; 0.1 is that of a frame on which one answer of ten would be mended.
    """

    least: tuple[float, ...]
    share: Annotated[float, Meta(gt=0, lt=1)]
    gain: Annotated[float, Meta(ge=0, le=1)] = 0.1

    def __post_init__(self) -> None:
        if not self.least or not all(map(math.isfinite, self.least)):
            raise ValueError(f"expected `least` as finite numbers, one per class; got {list(self.least)}")

    def holds(self, prediction: Prediction) -> bool:
        """Whether a frame looks like none of calibration; False where its energy is not known."""
        return prediction.energy is not None and prediction.energy < self.least[prediction.top]
