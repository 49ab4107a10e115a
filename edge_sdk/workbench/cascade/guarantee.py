"""A threshold with a guarantee on the accuracy that the cascade loses against the big model on new frames.

What is promised. Let D be, for a new frame, 1 if the frame exits and only the big model would have been right, -1 if it
exits and only the little model is right, else 0. The risk R(T) = E[D] is how much accuracy the cascade at threshold T
loses against the big model alone. `guaranteed_threshold` returns T with P(R(T) <= eps) >= 1 - delta over the draw of
the calibration records.

Theorem. Learn then Test (Angelopoulos, Bates, Candes, Jordan, Lei, arXiv 2110.01052, theorem 1 and proposition 6, fixed
sequence testing): if for each T of a list that was fixed beforehand p(T) is a valid p-value of the hypothesis
"R(T) > eps", and the list is walked from its start until the first p(T) > delta, then with probability 1 - delta or
more every T before that keeps R(T) <= eps. Nothing is assumed of the shape of R, which need not be monotone.

The p-value. The sum S of D over the n calibration records is a sum of independent draws from {-1, 0, 1}, whose law has
two parameters: the mean (eps, at the hypothesis' edge) and q = P(D != 0). `loss_p_value` bounds q from above by the
exact binomial bound of Clopper & Pearson (1934) at level beta, computes P(S <= s) exactly at that q, and adds beta:
the method of Berger & Boos (J. Am. Stat. Assoc. 89, 1994, lemma 1). Where it is at most 1/4, P(S <= s) rises with q up
to 1/2: its derivative is n/2 (P(S' = s + 1) - P(S' = s)) with S' the sum of n - 1 draws, whose law is log-concave there
and rises left of its mode. Were the models to differ on more than half of the frames, Hoeffding's bound would stand in.
Against the bounds usual with Learn then Test (Hoeffding-Bentkus, empirical Bernstein, betting) this one has no slack
from Chernoff's inequality and uses that D is mostly 0.

Assumptions. The calibration records and the new frames are independent draws of one source; the scores and the list of
thresholds do not depend on the calibration records (fit temperature, gate and list on others). Frames that follow one
another look alike: take one of several, from many places.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.cascade.curve import Bools, Floats, above, check_records

_BETA_SHARE = 0.05
_CHUNK = 16
_TAIL = 1e-12
_MOST_APART = 0.5
_MOST_DELTA = 0.25


@dataclass(frozen=True, slots=True)
class Guarantee:
    """What a threshold promises.

    Attributes:
        threshold: confidence at or above which a frame exits; above every score if nothing can be promised.
        eps: the cascade's accuracy on new frames is at most `eps` below the big model's.
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


def loss_p_value(
    lost: NDArray[np.integer], won: NDArray[np.integer], records: int, eps: float, delta: float
) -> NDArray[np.float64]:
    """Valid p-values of "the cascade loses more than eps", for K thresholds at once (see the module).

    Args:
        lost: `int (K,)`, calibration records that exit wrongly though the big model is right.
        won: `int (K,)`, records that exit rightly though the big model is wrong.
        records: n, all calibration records.
        eps: tolerated loss of accuracy, in (0, 1).
        delta: the level at which the p-values will be compared, in (0, 1/4]; it sets beta = delta / 20.

    Returns:
        `float64 (K,)`; exact up to 1e-12.
    """
    lost, won = np.atleast_1d(lost).astype(np.int64), np.atleast_1d(won).astype(np.int64)
    beta = _BETA_SHARE * delta
    apart = lost + won
    upper = np.where(apart < records, stats.beta.isf(beta, apart + 1, np.maximum(records - apart, 1)), 1.0)
    result = np.full(len(lost), beta)  # where q <= eps, R <= q <= eps holds whenever the bound on q does
    for index in np.flatnonzero(upper > eps):
        total, share = int(lost[index] - won[index]), float(upper[index])
        tail = _tail(total, records, share, eps) if share <= _MOST_APART else _hoeffding(total, records, eps)
        result[index] = min(1.0, tail + beta)
    return result


def _hoeffding(total: int, count: int, mean: float) -> float:
    """A bound on P(S <= total) for any law on [-1, 1] of the given mean (Hoeffding, 1963, theorem 2)."""
    return float(np.exp(-count * max(0.0, mean - total / count) ** 2 / 2))


def _tail(total: int, count: int, apart: float, mean: float) -> float:
    """P(S <= total) for the sum S of `count` draws from {-1, 0, 1} with P(not 0) = `apart` and the given mean."""
    ends = stats.binom.ppf((_TAIL / 2, 1 - _TAIL / 2), count, apart)
    moves = np.arange(int(ends[0]), int(ends[1]) + 1)
    up = (1 + mean / apart) / 2
    return float(
        np.dot(stats.binom.pmf(moves, count, apart), stats.binom.cdf(np.floor((moves + total) / 2), moves, up)) + _TAIL
    )


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
        eps: tolerated loss of accuracy, a share of all frames, in (0, 1).
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
    if not 0 < eps < 1 or not 0 < delta <= _MOST_DELTA:
        raise WorkbenchError(f"expected eps in (0, 1) and delta in (0, 1/4]; got eps {eps} and delta {delta}")
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


def guaranteed_loss(lost: int, won: int, records: int, delta: float) -> float:
    """The least eps that can be promised for one threshold that was chosen on other records.

    Args:
        lost: records on which the big model alone is right and the cascade is not.
        won: records on which the cascade is right and the big model alone is not.
        records: n, all of them.
        delta: tolerated chance that the promise fails.

    Returns:
        eps in (0, 1], exact to 1e-5; also the bound of a one-sided confidence interval at level 1 - delta.
    """
    low, high = 0.0, 1.0
    while high - low > 1e-5:
        middle = (low + high) / 2
        holds = loss_p_value(np.array([lost]), np.array([won]), records, middle, delta)[0] <= delta
        low, high = (low, middle) if holds else (middle, high)
    return high


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
