"""A threshold with a guarantee on the accuracy that the cascade loses against the big model on new frames.

What is promised. Let D be, for a new frame, 1 if the frame exits and only the big model would have been right, -1 if it
exits and only the little model is right, else 0. The risk R(T) = E[D] is how much accuracy the cascade at threshold T
loses against the big model alone. `guaranteed_threshold` returns T with P(R(T) <= eps) >= 1 - delta over the draw of
the calibration records.

Theorem. Learn then Test (Angelopoulos, Bates, Candes, Jordan, Lei, arXiv 2110.01052, theorem 1 and proposition 6, fixed
sequence testing): if for each T of a list that was fixed beforehand p(T) is a valid p-value of the hypothesis
"R(T) > eps", and the list is walked from its start until the first p(T) > delta, then with probability 1 - delta or
more every T before that keeps R(T) <= eps. Nothing is assumed of the shape of R, which need not be monotone.

The p-value is that of an exact score test (`cascade.score_test`), which uses that D is mostly 0 and holds its level
whatever the share of frames on which the models differ. eps may be 0 ("at least as good as the big model") or negative
("better by that much").

Assumptions. The calibration records and the new frames are independent draws of one source; the scores and the list of
thresholds do not depend on the calibration records (fit temperature, gate and list on others). Frames that follow one
another look alike: take one of several, from many places.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.cascade.curve import Bools, Floats, above, check_records
from edge_sdk.workbench.cascade.score_test import loss_p_value

_CHUNK = 16
_MOST_DELTA = 0.25


@dataclass(frozen=True, slots=True)
class Guarantee:
    """What a threshold promises.

    Attributes:
        threshold: confidence at or above which a frame exits; above every score if nothing can be promised.
        eps: the cascade's accuracy on new frames is at most `eps` below the big model's; negative: as much above it.
        delta: probability, over the draw of the calibration records, that this fails.
        records: calibration records.
        p_value: of the threshold, at most delta; 1 if nothing can be promised.
    """

    threshold: float
    eps: float
    delta: float
    records: int
    p_value: float

    @property
    def holds(self) -> bool:
        """Whether any frame may exit under the guarantee."""
        return self.p_value <= self.delta


def guaranteed_threshold(
    confidence: Floats,
    little_right: Bools,
    big_right: Bools,
    *,
    eps: float,
    delta: float,
    candidates: Floats | None = None,
    offloaded_right: Bools | None = None,
) -> Guarantee:
    """The lowest threshold at which the cascade loses at most eps against the big model, with probability 1 - delta.

    Args:
        confidence: `float (N,)` of the little model on calibration records.
        little_right: `bool (N,)`.
        big_right: `bool (N,)`, of the big model alone, against which the loss is counted.
        eps: tolerated loss of accuracy, a share of all frames, in (-1, 1); 0: at least as good as the big model.
        delta: tolerated chance that the promise fails, in (0, 1/4].
        candidates: `float (K,)`, thresholds fixed without looking at these records; default: `spread_candidates()`, for
            scores in [0, 1].
        offloaded_right: `bool (N,)`, whether the final answer on a frame is right if it is offloaded, where that is not
            the big model's alone; None: `big_right`.

    Raises:
        WorkbenchError: eps or delta out of range, or arrays as in `cascade_curve`.
    """
    confidence = np.asarray(confidence, np.float64)
    check_records(confidence=confidence, little_right=little_right, big_right=big_right)
    if not -1 < eps < 1 or not 0 < delta <= _MOST_DELTA:
        raise WorkbenchError(f"expected eps in (-1, 1) and delta in (0, 1/4]; got eps {eps} and delta {delta}")
    walk = -np.unique(-np.asarray(spread_candidates() if candidates is None else candidates, np.float64))
    order = np.argsort(-confidence, kind="stable")
    exits = np.searchsorted(-confidence[order], -walk, side="right")
    final = big_right if offloaded_right is None else offloaded_right
    lost = _along(big_right & ~little_right, big_right & ~final, order)[exits]
    won = _along(little_right & ~big_right, final & ~big_right, order)[exits]
    best, p_value = None, 1.0
    for start in range(0, len(walk), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        values = loss_p_value(lost[chunk], won[chunk], len(confidence), eps, delta)
        failed = np.flatnonzero(values > delta)
        last = (int(failed[0]) if len(failed) else len(values)) - 1
        if last >= 0:
            best, p_value = start + last, float(values[last])
        if len(failed):
            break
    threshold = above(max(1.0, float(confidence.max()))) if best is None else float(walk[best])
    return Guarantee(threshold, eps, delta, len(confidence), p_value)


def _along(exiting: Bools, offloaded: Bools, order: NDArray[np.intp]) -> NDArray[np.int64]:
    """How many count when 0, 1 .. N records have exited: by `exiting` of those that have, else by `offloaded`."""
    gone = np.append(0, np.cumsum(exiting[order]))
    left = int(offloaded.sum()) - np.append(0, np.cumsum(offloaded[order]))
    result: NDArray[np.int64] = gone + left
    return result


def spread_candidates(count: int = 300) -> Floats:
    """Thresholds for scores in [0, 1], falling: `count` evenly spaced in log-odds from 1 - 1e-5 down, and 0."""
    odds = np.linspace(11.5, -4.0, count)
    return np.append(1 / (1 + np.exp(-odds)), 0.0)


def quantile_candidates(scores: Floats, count: int = 300) -> Floats:
    """Thresholds for any score, `float64`, falling: evenly spaced quantiles of scores on *other* records."""
    return np.unique(np.quantile(np.asarray(scores, np.float64), np.linspace(0, 1, count)))[::-1].copy()
