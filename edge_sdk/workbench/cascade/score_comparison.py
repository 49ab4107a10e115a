"""Comparison of confidence scores and the learned gate, by cross-validation on one set of records.

A score is judged by the area under the accuracy-cost curve; each record is scored by a gate that was fitted without it
(K-fold cross-validation). The difference to the maximum softmax is tested by the bootstrap over records.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.cascade.confidence import SCORES, check_labels, energy
from edge_sdk.workbench.cascade.curve import Bools, Floats, cascade_curve, check_records, lossless
from edge_sdk.workbench.cascade.gate import held_out_gains

MAX_SOFTMAX, GATE = "max softmax", "learned gate"


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a score ranks records, against the maximum softmax.

    Attributes:
        name: of the score.
        area: under the curve of accuracy over exit ratio, in [0, 1], cross-validated; higher is better.
        difference: of the area to that of the maximum softmax.
        low: 2.5% quantile of the difference over bootstrap draws of the records.
        high: 97.5% quantile.
        macs_lossless: MACs per frame at no loss, relative to the big model's; NaN: unknown.
    """

    name: str
    area: float
    difference: float
    low: float
    high: float
    macs_lossless: float

    @property
    def better(self) -> bool:
        """Whether it beats the maximum softmax beyond noise."""
        return self.low > 0


def compare_scores(
    probabilities: Floats,
    truths: NDArray[np.integer],
    big_right: Bools,
    *,
    little_macs: float,
    big_macs: float,
    logits: Floats | None = None,
    folds: int = 5,
    draws: int = 400,
    seed: int = 0,
) -> list[Comparison]:
    """Compare confidences by the area under the accuracy-cost curve; the best is first.

    Args:
        probabilities: `float (N, C)` of the little model.
        truths: `int (N,)`.
        big_right: `bool (N,)`.
        little_macs: per frame; NaN: unknown.
        big_macs: per frame; NaN: unknown.
        logits: `float (N, C)`, for the energy; default: it is left out.
        folds: of the cross-validation; records are assigned to them at random.
        draws: bootstrap draws.
        seed: of folds and draws.

    Raises:
        WorkbenchError: arrays that do not fit, or fewer records than folds.
    """
    probabilities = np.asarray(probabilities, np.float64)
    check_labels(probabilities, truths)
    check_records(truths=truths, big_right=big_right)
    if len(truths) < 2 * folds:
        raise WorkbenchError(f"expected at least {2 * folds} records for {folds} folds; got {len(truths)}")
    little_right = probabilities.argmax(axis=1) == truths
    scores = {name: score(probabilities) for name, score in SCORES.items()}
    if logits is not None:
        scores["energy"] = energy(logits)
    rng = np.random.default_rng(seed)
    scores[GATE] = -held_out_gains(probabilities, little_right, big_right, folds=folds, seed=seed)
    samples = [rng.integers(len(truths), size=len(truths)) for _ in range(draws)]

    def area(score: Floats, chosen: NDArray[np.intp] | slice) -> float:
        return cascade_curve(
            score[chosen], little_right[chosen], big_right[chosen], little_macs=little_macs, big_macs=big_macs
        ).area()

    whole = slice(None)
    usual = area(scores[MAX_SOFTMAX], whole)
    usual_draws = np.array([area(scores[MAX_SOFTMAX], sample) for sample in samples])
    result = []
    for name, score in scores.items():
        gap = np.array([area(score, sample) for sample in samples]) - usual_draws
        low, high = (float(value) for value in np.quantile(gap, (0.025, 0.975)))
        cost = _macs_lossless(score, little_right, big_right, little_macs, big_macs) / big_macs
        mine = area(score, whole)
        result.append(Comparison(name, mine, mine - usual, low, high, cost))
    return sorted(result, key=lambda one: -one.area)


def _macs_lossless(score: Floats, little: Bools, big: Bools, little_macs: float, big_macs: float) -> float:
    return lossless(cascade_curve(score, little, big, little_macs=little_macs, big_macs=big_macs)).macs
