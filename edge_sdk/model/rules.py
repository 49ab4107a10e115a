"""What calibration finds: the tables of a policy by which frames and visits are decided.

`Policy` (`edge_sdk.model.policy`) has the rule for frames that were seen whole; `LookRule` is that for frames of which
a region was looked at, `StillRule` for those in which nothing moves, and `EventRule` that for visits.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from edge_sdk.model.agreement import Agreement


class GainTable(msgspec.Struct, frozen=True):
    """A learned gate: the gain that a second opinion is expected to bring, by the class that the little model names.

    Attributes:
        confidences: K rising confidences, K >= 2.
        runner_up: part of the second class's probability that is taken off the confidence before the table is read: 0
            reads it at the confidence, 1 at the margin between the two most probable classes.
        gains: per class, in the order of the bundle's labels, the expected gain at each of them: P(big right) less
            P(little right), in [-1, 1]; straight lines between, constant outside.
        exit_at_or_below: a frame exits when its expected gain is at most this.
    """

    confidences: tuple[float, ...]
    gains: tuple[tuple[float, ...], ...]
    exit_at_or_below: float = 0.0
    runner_up: Annotated[float, Meta(ge=0, le=1)] = 0.0

    def __post_init__(self) -> None:
        knots = self.confidences
        if len(knots) < 2 or any(not a < b for a, b in pairwise(knots)):
            raise ValueError(f"expected two or more rising `confidences`; got {list(knots)}")
        if not self.gains or any(len(row) != len(knots) for row in self.gains):
            raise ValueError(f"expected rows of {len(knots)} `gains`, one row per class")

    def expected(self, probabilities: NDArray[np.float32]) -> float:
        """The expected gain on a frame of which the little model says `probabilities`, `float32 (C,)`."""
        label = int(probabilities.argmax())
        confidence = float(probabilities[label])
        if self.runner_up and len(probabilities) > 1:
            confidence -= self.runner_up * float(np.partition(probabilities, -2)[-2])
        return self.gain(label, confidence)

    def gain(self, label: int, confidence: float) -> float:
        """The table at a class and a confidence from which the runner-up's part has been taken."""
        knots, row = self.confidences, self.gains[label]
        right = bisect_right(knots, confidence)
        if right == 0:
            return row[0]
        if right == len(knots):
            return row[-1]
        share = (confidence - knots[right - 1]) / (knots[right] - knots[right - 1])
        return row[right - 1] + share * (row[right] - row[right - 1])


class Histogram(msgspec.Struct, frozen=True):
    """Confidences of the little model on the calibration frames, to tell later whether frames have changed.

    Attributes:
        edges: K rising bounds in (0, 1) between K + 1 bins; a confidence on a bound is in the bin above it.
        counts: frames in each of the K + 1 bins.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        if any(not a < b for a, b in pairwise(self.edges)) or not self.edges:
            raise ValueError(f"expected one or more rising `edges`; got {list(self.edges)}")
        if len(self.counts) != len(self.edges) + 1 or min(self.counts) < 0 or sum(self.counts) == 0:
            raise ValueError(f"expected {len(self.edges) + 1} `counts` of 0 or more; got {list(self.counts)}")


class LookRule(msgspec.Struct, frozen=True, kw_only=True):
    """What calibration finds for frames of one kind; the fields are those of `Policy` that have the same names.

    Attributes:
        threshold: confidence at or above which a frame exits, in [0, 1]; not used where there is a gate.
        temperature: logits of each look are divided by it before the softmax.
        gate: the learned gate; None: the threshold decides.
        gains: the gain that a second opinion is expected to bring, where there is no gate.
        ensemble: weight of the little model's probabilities in the answer on an offloaded frame.
        confidences: of the calibration frames; None: unknown.
        agreement: how often exits were answered as by the big model; None: unknown.
    """

    threshold: Annotated[float, Meta(ge=0, le=1)] = 0.8
    temperature: Annotated[float, Meta(gt=0)] = 1.0
    gate: GainTable | None = None
    gains: GainTable | None = None
    ensemble: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    confidences: Histogram | None = None
    agreement: Agreement | None = None


class StillRule(msgspec.Struct, frozen=True, kw_only=True):
    """What calibration finds for frames that a motion gate admits though nothing moves, seen whole.

    Most of them show nothing, so far fewer are worth a second opinion than of the frames of a camera at large.
    Temperature and the answer on an offloaded frame are those of all frames seen whole. They are not audited: what is
    promised of exits is silent on them.

    Attributes:
        threshold: as in `LookRule`.
        gate: as there.
        gains: as there.
    """

    threshold: Annotated[float, Meta(ge=0, le=1)] = 0.8
    gate: GainTable | None = None
    gains: GainTable | None = None


class EventRule(msgspec.Struct, frozen=True):
    """How the frames of one visit are answered as one, as calibration on visits found it.

    What is decided on is the mean of the probabilities of the `best` frames that look least empty.

    Attributes:
        threshold: an event exits when the greatest of these means is at or above it, in [0, 1].
        best: frames that answer for the event.
        ensemble: weight of that mean in the last word on an event that went to the cloud; the rest is the big model's.
        temperature: the mean is raised to 1 / `temperature` and made to sum to 1 before all else.
        agreement: how often events that exit were answered as the big model answers the frame that would travel; None:
            unknown.
    """

    threshold: Annotated[float, Meta(ge=0, le=1)] = 0.8
    best: Annotated[int, Meta(ge=1)] = 3
    ensemble: Annotated[float, Meta(ge=0, lt=1)] = 0.3
    temperature: Annotated[float, Meta(gt=0)] = 1.0
    agreement: Agreement | None = None
