"""What a calibration is asked for (`Rule`) and what it found (`Calibration`)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.policy import Policy
from edge_sdk.workbench.cascade.curve import Curve, Point
from edge_sdk.workbench.cascade.hardness import HardnessBin
from edge_sdk.workbench.cascade.score_comparison import Comparison

_RULES = ("eps", "drop", "offload_ratio", "bytes_per_day", "macs")


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """How the threshold is chosen. Exactly one of the first five is given.

    Attributes:
        eps: largest loss of accuracy against the big model, guaranteed on new frames with probability 1 - `delta`; 0:
            at least as good as the big model; negative: better by that much.
        drop: largest loss of accuracy on the records, without a guarantee; 0 is Little-Big's lossless rule.
        offload_ratio: largest share of the frames that go to the cloud.
        bytes_per_day: largest number of bytes sent a day.
        macs: largest number of MACs per frame, both models together.
        delta: probability with which a promise may fail.
        frames_per_day: frames that the little model sees a day.
    """

    eps: float | None = None
    drop: float | None = None
    offload_ratio: float | None = None
    bytes_per_day: float | None = None
    macs: float | None = None
    delta: float = 0.05
    frames_per_day: float = 2000.0

    def __post_init__(self) -> None:
        given = [name for name in _RULES if getattr(self, name) is not None]
        if len(given) != 1:
            raise WorkbenchError(f"expected one of {', '.join(_RULES)}; got {', '.join(given) or 'none'}")

    @property
    def name(self) -> str:
        """Name of the limit that is given."""
        return next(name for name in _RULES if getattr(self, name) is not None)


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """The result of a calibration. Figures are of the evaluation part, which only a guaranteed threshold was chosen on.

    Attributes:
        policy: to be written into the bundle.
        point: the cascade with it: threshold (of the score), exit ratio, accuracy, MACs and bytes per frame.
        curve: all settings of the chosen score.
        plain: all settings of the maximum softmax.
        little_accuracy: of the little model alone.
        big_accuracy: of the big model alone.
        promise: upper bound on the accuracy that the cascade loses against the big model; negative: it gains as much.
        delta: probability that the bound fails.
        guaranteed: whether the threshold was chosen to meet that bound; otherwise the bound was computed for it.
        calibration_error: expected calibration error of the confidences.
        comparisons: of the scores, on the selection part; empty where it has too few records.
        bins: the hardness report.
        pictures: number of records, both parts together.
        frames_per_day: for figures a day.
    """

    policy: Policy
    point: Point
    curve: Curve
    plain: Curve
    little_accuracy: float
    big_accuracy: float
    promise: float
    delta: float
    guaranteed: bool
    calibration_error: float
    comparisons: list[Comparison]
    bins: list[HardnessBin]
    pictures: int
    frames_per_day: float

    def sentence(self) -> str:
        """The result in words."""
        gate = self.policy.gate
        where = f"T = {self.policy.threshold:.4f}"
        if gate is not None:
            where = f"an expected gain of {gate.exit_at_or_below:.4f}"
        day = self.point.upload_bytes * self.frames_per_day / 1e6
        amount = "an unknown number of bytes" if math.isnan(day) else f"about {day:.3g} MB"
        sent = f"{amount} a day at {self.frames_per_day:,.0f} frames"
        return (
            f"At {where}, {1 - self.point.exit_ratio:.1%} of frames go to the cloud; "
            f"with {1 - self.delta:.0%} confidence accuracy is {in_words(self.promise)}; {sent}."
        )


def in_words(eps: float) -> str:
    """What a promise says of the cascade's accuracy."""
    points = f"{100 * abs(eps):.2f} points"
    if not eps:
        return "at least that of the big model"
    return f"at most {points} below the big model" if eps > 0 else f"at least {points} above the big model"
