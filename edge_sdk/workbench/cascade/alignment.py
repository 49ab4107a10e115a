"""A threshold above which nearly all exits are as right as the big model, with a guarantee on new frames.

What is promised. A frame that exits is worse off if the little model is wrong on it and the big one would have been
right; else its answer is as right as the big model's. Let r(T) be the chance that a frame is worse off, given that it
exits at threshold T. `aligned_threshold` returns T with P(r(T) <= alpha) >= 1 - delta over the draw of the calibration
records. `cascade.guarantee` bounds the difference of two accuracies over all frames, in which frames that only the
little model has right make up for others; this bounds the mistakes among the answers that people read on the device.
It also bounds the loss of accuracy: that is at most r(T) times the share of exits.

Theorem. Given that e of the calibration records exit at T, the number k of those worse off is binomial with chance
r(T), so P(Bin(e, alpha) <= k) is a valid p-value of "r(T) >= alpha", and the walk of Learn then Test
(`cascade.guarantee`) gives the promise. The strictest thresholds have too few exits to promise anything, so the walk
starts where other records say that the test is most likely passed.

Against conformal alignment (Gui, Jin, Ren, arXiv 2405.10301; between device and cloud arXiv 2510.17543): conformal
p-values with Benjamini and Hochberg's step choose, in a batch of new frames that is looked at as a whole, which may be
trusted, such that on average over batches and calibrations a share of 1 - alpha is aligned. A device answers frame by
frame with one threshold for months. So what is promised here is the share at that threshold, and the calibration is
the only thing that may have been unlucky.

Assumptions: as in `cascade.guarantee`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.cascade.curve import Bools, Floats, above, check_records
from edge_sdk.workbench.cascade.guarantee import fixed_sequence

_MOST_DELTA = 0.25


@dataclass(frozen=True, slots=True)
class Alignment:
    """What a threshold promises of the frames that exit.

    Attributes:
        threshold: confidence at or above which a frame exits; above every score if nothing can be promised.
        alpha: at most this share of the exits is worse off than with the big model.
        delta: probability, over the draw of the calibration records, that this fails.
        exits: calibration records that exit.
        worse: of these, how many are worse off.
        p_value: of the threshold, at most delta; 1 if nothing can be promised.
    """

    threshold: float
    alpha: float
    delta: float
    exits: int
    worse: int
    p_value: float

    @property
    def holds(self) -> bool:
        """Whether any frame may exit under the guarantee."""
        return self.p_value <= self.delta


def share_p_value(worse: NDArray[np.integer], exits: NDArray[np.integer], alpha: float) -> NDArray[np.float64]:
    """Valid p-values of "a share of alpha or more of the exits is worse off": the binomial tail, exact.

    Args:
        worse: `int (K,)`, exits on which only the big model is right.
        exits: `int (K,)`.
        alpha: tolerated share, in (0, 1).

    Returns:
        `float64 (K,)`; 1 where nothing exits.
    """
    few = np.asarray(worse, np.float64)
    all_exits = np.asarray(exits, np.float64)
    tail = special.betainc(np.maximum(all_exits - few, 1e-9), few + 1, 1 - alpha)
    result: NDArray[np.float64] = np.where(few >= all_exits, 1.0, tail)
    return result


def aligned_threshold(
    confidence: Floats,
    little_right: Bools,
    big_right: Bools,
    *,
    alpha: float,
    delta: float,
    candidates: Floats,
    start: float,
) -> Alignment:
    """The lowest threshold at which a share of 1 - alpha of the exits is as right as the big model (see the module).

    Args:
        confidence: `float (N,)` of the little model on calibration records.
        little_right: `bool (N,)`.
        big_right: `bool (N,)`.
        alpha: tolerated share of exits that are worse off, in (0, 1).
        delta: tolerated chance that the promise fails, in (0, 1/4].
        candidates: `float (K,)`, thresholds fixed without looking at these records.
        start: the threshold at which the walk begins, found on other records (`aligned_start`).

    Raises:
        WorkbenchError: alpha or delta out of range, or arrays as in `cascade_curve`.
    """
    confidence = np.asarray(confidence, np.float64)
    check_records(confidence=confidence, little_right=little_right, big_right=big_right)
    if not 0 < alpha < 1 or not 0 < delta <= _MOST_DELTA:
        raise WorkbenchError(f"expected alpha in (0, 1) and delta in (0, 1/4]; got alpha {alpha} and delta {delta}")
    walk = -np.unique(-np.asarray(candidates, np.float64))
    walk = walk[walk <= start]
    worse, exits = worse_off(walk, confidence, big_right & ~little_right)

    def p_values(chunk: slice) -> Floats:
        return share_p_value(worse[chunk], exits[chunk], alpha)

    best, p_value = fixed_sequence(p_values, len(walk), delta)
    if best is None:
        return Alignment(above(max(1.0, float(confidence.max()))), alpha, delta, 0, 0, p_value)
    return Alignment(float(walk[best]), alpha, delta, int(exits[best]), int(worse[best]), p_value)


def aligned_start(
    confidence: Floats, little_right: Bools, big_right: Bools, *, alpha: float, candidates: Floats
) -> float:
    """The threshold at which the promise is most likely kept by other records: the largest distance in deviations.

    Args:
        confidence: `float (N,)` of the little model on records that the walk does not see.
        little_right: `bool (N,)`.
        big_right: `bool (N,)`.
        alpha: tolerated share.
        candidates: `float (K,)`, the thresholds of the walk.
    """
    walk = -np.unique(-np.asarray(candidates, np.float64))
    worse, exits = worse_off(walk, np.asarray(confidence, np.float64), big_right & ~little_right)
    share = (worse + alpha) / (exits + 1)
    return float(walk[np.argmax((alpha - share) * np.sqrt(exits))])


def worse_off(walk: Floats, confidence: Floats, worse: Bools) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many records are worse off, and how many exit, at each of K falling thresholds: `int64 (K,)` each."""
    order = np.argsort(-confidence, kind="stable")
    exits = np.searchsorted(-confidence[order], -walk, side="right").astype(np.int64)
    counted = np.append(0, np.cumsum(worse[order])).astype(np.int64)
    return counted[exits], exits
