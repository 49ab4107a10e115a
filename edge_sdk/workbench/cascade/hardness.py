"""Which mistakes of the little model the big one corrects, and whether a threshold holds on other data.

The hardness report follows Little-Big (arXiv 2406.17117, section 4, on hard samples): the big model corrects some of
the little one's mistakes, shares others, and is wrong on some frames that the little one had right. The transfer report
asks the paper's question about ImageNet-ReaL and V2: how does a threshold chosen on one set fare on another?
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.cascade.curve import Bools, Curve, Floats, Point, check_records, lossless


@dataclass(frozen=True, slots=True)
class HardnessBin:
    """Records of a range of confidence.

    Attributes:
        low: confidence from ...
        high: ... below this (the last bin includes it).
        both_right: records that both models name rightly.
        correctable: the little model is wrong, the big one right: an offload gains.
        broken: the little model is right, the big one wrong: an offload loses.
        both_wrong: no offload helps.
    """

    low: float
    high: float
    both_right: int
    correctable: int
    broken: int
    both_wrong: int

    @property
    def records(self) -> int:
        """All records of the bin."""
        return self.both_right + self.correctable + self.broken + self.both_wrong

    @property
    def gain(self) -> float:
        """Accuracy gained per offloaded record of this bin; 0 where it has none."""
        return (self.correctable - self.broken) / self.records if self.records else 0.0


def hardness(
    confidence: Floats, little_right: Bools, big_right: Bools, *, edges: Sequence[float] | None = None
) -> list[HardnessBin]:
    """Count, in bins of confidence, on which of N records the big model's answer helps or harms.

    Args:
        confidence: `float (N,)` of the little model.
        little_right: `bool (N,)`.
        big_right: `bool (N,)`.
        edges: rising bounds of the bins, covering all confidences; default: ten of equal width over [0, 1].

    Raises:
        WorkbenchError: arrays as in `cascade_curve`, or edges that do not cover them.
    """
    confidence = np.asarray(confidence, np.float64)
    check_records(confidence=confidence, little_right=little_right, big_right=big_right)
    bounds = np.linspace(0, 1, 11) if edges is None else np.asarray(edges, np.float64)
    if len(bounds) < 2 or (np.diff(bounds) <= 0).any():
        raise WorkbenchError(f"expected two or more rising edges; got {list(bounds)}")
    if confidence.min() < bounds[0] or confidence.max() > bounds[-1]:
        raise WorkbenchError(
            f"expected edges that cover {confidence.min():.4g} to {confidence.max():.4g}; got {bounds[0]:.4g} to "
            f"{bounds[-1]:.4g}"
        )
    index = np.minimum(np.searchsorted(bounds, confidence, side="right") - 1, len(bounds) - 2)
    kind = 2 * little_right.astype(np.int64) + big_right
    counts = np.zeros((len(bounds) - 1, 4), np.int64)
    np.add.at(counts, (index, kind), 1)
    return [
        HardnessBin(
            float(bounds[row]),
            float(bounds[row + 1]),
            both_right=int(count[3]),
            correctable=int(count[1]),
            broken=int(count[2]),
            both_wrong=int(count[0]),
        )
        for row, count in enumerate(counts)
    ]


@dataclass(frozen=True, slots=True)
class Transfer:
    """A threshold that was chosen on one set and evaluated on another.

    Attributes:
        drop: the loss that was tolerated when it was chosen.
        chosen: the cascade at this threshold on the set where it was chosen.
        evaluated: the cascade at this threshold on the other set.
        big_accuracy: the big model's accuracy on the other set.
        own: the cascade at a threshold that was chosen, by the same rule, on the other set itself.
    """

    drop: float
    chosen: Point
    evaluated: Point
    big_accuracy: float
    own: Point

    @property
    def loss(self) -> float:
        """Accuracy lost on the other set against the big model; negative: the cascade wins."""
        return self.big_accuracy - self.evaluated.accuracy


def transfer(selected_on: Curve, evaluated_on: Curve, drops: Sequence[float] = (0.0, 0.005, 0.01)) -> list[Transfer]:
    """How thresholds chosen on one set's curve fare on another's.

    Args:
        selected_on: curve of the calibration records.
        evaluated_on: curve of the other records, of the same models.
        drops: tolerated losses of accuracy.
    """
    found = []
    for drop in drops:
        chosen = lossless(selected_on, drop=drop)
        found.append(
            Transfer(
                drop,
                chosen,
                evaluated_on.at(chosen.threshold),
                evaluated_on.big_accuracy,
                lossless(evaluated_on, drop=drop),
            )
        )
    return found
