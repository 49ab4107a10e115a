"""What a calibration is asked for (`Rule`) and what it found (`Calibration`)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.policy import Policy
from edge_sdk.workbench.cascade.curve import Curve, Point
from edge_sdk.workbench.cascade.hardness import HardnessBin
from edge_sdk.workbench.cascade.paired import Difference
from edge_sdk.workbench.cascade.score_comparison import Comparison

FEWEST = 100
"""Pictures that a calibration takes at least."""
_RULES = ("eps", "as_right", "drop", "offload_ratio", "bytes_per_day", "macs", "near")


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """How the threshold is chosen. Exactly one of the first seven is given.

    Attributes:
        eps: largest loss of accuracy against the big model, guaranteed on new frames with probability 1 - `delta`; 0:
            at least as good as the big model; negative: better by that much.
        as_right: smallest share of the frames that exit whose answer is as right as the big model's, guaranteed
            likewise.
        drop: largest loss of accuracy on the records, without a guarantee; 0 is Little-Big's lossless rule.
        offload_ratio: largest share of the frames that go to the cloud.
        bytes_per_day: largest number of bytes sent a day.
        macs: largest number of MACs per frame, both models together.
        near: a threshold that is known: it stays where it is within one frame of the most accurate on the records, else
            the nearest that is.
        delta: probability with which a promise may fail.
        frames_per_day: frames that the little model sees a day.
    """

    eps: float | None = None
    as_right: float | None = None
    drop: float | None = None
    offload_ratio: float | None = None
    bytes_per_day: float | None = None
    macs: float | None = None
    near: float | None = None
    delta: float = 0.05
    frames_per_day: float = 2000.0

    def __post_init__(self) -> None:
        given = [name for name in _RULES if getattr(self, name) is not None]
        if len(given) != 1:
            raise WorkbenchError(f"expected one of {', '.join(_RULES)}; got {', '.join(given) or 'none'}")
        if self.as_right is not None and not 0 < self.as_right < 1:
            raise WorkbenchError(f"expected as_right between 0 and 1, such as 0.95; got {self.as_right}")

    @property
    def guaranteed(self) -> bool:
        """Whether the rule is a promise on new frames."""
        return self.eps is not None or self.as_right is not None

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
        as_right: share of the exits that is promised to be as right as the big model; None: not promised.
        difference: the cascade's accuracy less the big model's on the evaluation part, paired.
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
    as_right: float | None
    difference: Difference
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
        promise = f"accuracy is {in_words(self.promise)}" if self.as_right is None else sharing(self.as_right)
        return (
            f"At {where}, {1 - self.point.exit_ratio:.1%} of frames go to the cloud; with {1 - self.delta:.0%} "
            f"confidence {promise}; {sending(self.point.upload_bytes, self.frames_per_day)}."
        )


def sharing(as_right: float) -> str:
    """What a promise says of the frames that exit."""
    return f"at least {100 * as_right:g}% of the frames that exit are answered as rightly as by the big model"


def sending(upload_bytes: float, frames_per_day: float) -> str:
    """How much is sent in a day, from bytes per frame; NaN: unknown."""
    day = upload_bytes * frames_per_day / 1e6
    amount = "an unknown number of bytes" if math.isnan(day) else f"about {day:.3g} MB"
    return f"{amount} a day at {frames_per_day:,.0f} frames"


def in_words(eps: float) -> str:
    """What a promise says of the cascade's accuracy."""
    points = f"{100 * abs(eps):.2f} points"
    if not eps:
        return "at least that of the big model"
    return f"at most {points} below the big model" if eps > 0 else f"at least {points} above the big model"
