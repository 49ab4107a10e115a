"""Exit or offload: the decision on one frame.

The rule is Little-Big's (Liu, Thopalli, Thiagarajan, "Speeding Up Image Classifiers with Little Companions",
arXiv 2406.17117): the frame exits when the little model's confidence is at or above a threshold, and otherwise the
big model's prediction replaces the little one's. Confidence is the top probability after temperature scaling, and
the threshold comes from the bundle's `policy.json`.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge_sdk.errors import ConfigError
from edge_sdk.types import Prediction, Reason


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with one frame.

    Attributes:
        exits: True: the device's answer is final. False: the frame is to be offloaded.
        reason: why.
        gain: what a second opinion is expected to be worth, in [0, 1]: here 1 - confidence, the little model's own
            estimate of its chance to be wrong. Frames of higher gain leave first and are dropped last.
    """

    exits: bool
    reason: Reason
    gain: float


class ThresholdPolicy:
    """A frame exits at or above a fixed confidence.

    Args:
        threshold: in [0, 1]; 0 lets every frame exit, and a value above 1 none.

    Raises:
        ConfigError: the threshold is negative or not a number.
    """

    def __init__(self, threshold: float) -> None:
        if not threshold >= 0:
            raise ConfigError(f"expected a threshold of 0 or more; got {threshold!r}")
        self.threshold = threshold

    def decide(self, prediction: Prediction) -> Decision:
        """Judge one prediction."""
        confidence = prediction.confidence
        exits = confidence >= self.threshold
        return Decision(exits, Reason.CONFIDENT if exits else Reason.UNSURE, max(0.0, 1.0 - confidence))
