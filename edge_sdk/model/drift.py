"""Have the frames changed since calibration? A check that needs no labels: the little model's confidences.

A threshold promises what it does for frames like those it was calibrated on. The check compares the confidences of a
device's frames with those of calibration (`Histogram` in `policy.json`): the Kolmogorov-Smirnov distance, the largest
gap of the two cumulative shares over the bins' bounds, against what chance alone allows. That limit is the two-sample
bound of Dvoretzky, Kiefer, Wolfowitz and Massart (Massart, Ann. Probab. 18, 1990; Wei & Dudley, Stat. Probab. Lett. 82,
2012). Frames of one visit look alike, so each counts as `1 / FRAMES_PER_VISIT` of an independent one, and a gap below
`SMALLEST` is never called a change.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from edge_sdk.model.policy import Histogram, Policy

FEWEST = 200
"""Frames below which nothing is said."""

FRAMES_PER_VISIT = 5.0
SMALLEST = 0.08
_CHANCE = 0.01


@dataclass(frozen=True, slots=True)
class Drift:
    """What the check found.

    Attributes:
        frames: how many were looked at.
        distance: Kolmogorov-Smirnov distance to calibration, in [0, 1]; 0 with too few frames.
        limit: the distance that chance allows.
        shift: mean cumulative gap; above 0: the model is less sure than it was, below: surer.
    """

    frames: int
    distance: float
    limit: float
    shift: float

    @property
    def drifted(self) -> bool:
        """Whether the frames have changed beyond chance: calibrate anew."""
        return self.frames >= FEWEST and self.distance > self.limit

    def sentence(self) -> str:
        """The result in words."""
        if self.frames < FEWEST:
            return f"{self.frames} frames: too few to tell whether confidences have changed ({FEWEST} are needed)"
        facts = f"distance {self.distance:.2f} to calibration, {self.limit:.2f} is within chance, {self.frames} frames"
        if not self.drifted:
            return f"confidences are as at calibration ({facts})"
        way = "less sure than" if self.shift > 0 else "surer than"
        return f"confidences have changed: the little model is {way} at calibration; calibrate anew ({facts})"


def confidence_histogram(confidences: Iterable[float], bins: int = 20) -> Histogram:
    """A histogram of calibration confidences, with bounds at their quantiles.

    Args:
        confidences: of the little model, in [0, 1].
        bins: most bins of the histogram.
    """
    values = np.fromiter(confidences, np.float64)
    edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1]).round(6))
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    return Histogram(tuple(edges.tolist()), tuple(counts.tolist()))


def check_policy(policy: Policy, seen: Sequence[tuple[float, bool]]) -> Drift | None:
    """Compare a device's confidences with those of its bundle's calibration; None: the policy does not say these.

    Where the policy has a rule of its own for frames with a region, those frames alone are compared, or the others, of
    which there are more: the others of a device with a gate are those in which nothing moves, and calibration saw more.

    Args:
        policy: the bundle's.
        seen: of the device's latest frames: how sure the little model was, and whether it looked at a region.
    """
    near = 2 * sum(looked for _, looked in seen) > len(seen)
    usual = policy.of_look(near).confidences
    if usual is None:
        return None
    return check_drift(usual, [sure for sure, looked in seen if policy.regions is None or looked is near])


def check_drift(usual: Histogram, confidences: Iterable[float]) -> Drift:
    """Compare a device's confidences with those of calibration.

    Args:
        usual: of calibration.
        confidences: of the device's latest frames.
    """
    values = np.fromiter(confidences, np.float64)
    count = len(values)
    independent = count / FRAMES_PER_VISIT
    expected = np.cumsum(usual.counts)[:-1] / sum(usual.counts)
    limit = SMALLEST
    if not count:
        return Drift(0, 0.0, limit, 0.0)
    chance = math.sqrt(math.log(2 / _CHANCE) / 2 * (1 / independent + FRAMES_PER_VISIT / sum(usual.counts)))
    seen = np.bincount(np.searchsorted(usual.edges, values, side="right"), minlength=len(usual.counts))
    gaps = np.cumsum(seen)[:-1] / count - expected
    return Drift(count, float(np.abs(gaps).max()), max(SMALLEST, chance), float(gaps.mean()))
