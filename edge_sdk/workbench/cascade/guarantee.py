"""A threshold with a guarantee on the accuracy that the cascade loses against the big model on new frames.

What is promised. Let D be, for a new frame, 1 if the frame exits and only the big model would have been right, -1 if it
exits and only the little model is right, else 0. The risk R(T) = E[D] is how much accuracy the cascade at threshold T
loses against the big model alone. `guaranteed_threshold` returns T with P(R(T) <= eps) >= 1 - delta over the draw of
the calibration records.

Theorem. Learn then Test (Angelopoulos, Bates, Candes, Jordan, Lei, arXiv 2110.01052, theorem 1 and proposition 6, fixed
sequence testing): if for each T of a list that was fixed beforehand p(T) is a valid p-value of the hypothesis
"R(T) > eps", and the list is walked from its start until the first p(T) > delta, then with probability 1 - delta or
more every T before that keeps R(T) <= eps. Nothing is assumed of the shape of R, which need not be monotone.

Where the walk starts. At the strictest thresholds few frames exit, and with a small eps one unlucky frame ends a walk
that begins there; with eps of 0 or less they cannot be promised at all. `likely_start` finds on other records where
the test is most likely to be passed, and the walk goes down from there at the full level; where they say nothing
clear, it begins at the strictest threshold. To begin at the peak of their accuracy, or to split the level between two
starts, costs more than it brings (`benchmarks/guarantee.py`).

The p-value is that of an exact score test (`cascade.score_test`), which uses that D is mostly 0 and holds its level
whatever the share of frames on which the models differ. eps may be 0 ("at least as good as the big model") or negative
("better by that much").

Assumptions. The calibration records and the new frames are independent draws of one source; the scores and the list of
thresholds do not depend on the calibration records (fit temperature, gate and list on others). Frames that follow one
another look alike: take one of several, from many places.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.cascade.curve import Bools, Floats, above, check_records
from edge_sdk.workbench.cascade.score_test import loss_p_value

_CHUNK = 16
_NINE_IN_TEN = 1.2816
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
    start: float | None = None,
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
        start: the threshold at which the walk begins, found on other records; candidates above it are left out; None:
            the strictest.
        offloaded_right: `bool (N,)`, whether the final answer on a frame is right if it is offloaded, where that is not
            the big model's alone; None: `big_right`.

    Raises:
        WorkbenchError: eps or delta out of range, or arrays as in `cascade_curve`.
    """
    confidence = np.asarray(confidence, np.float64)
    check_records(confidence=confidence, little_right=little_right, big_right=big_right)
    if not -1 < eps < 1 or not 0 < delta <= _MOST_DELTA:
        raise WorkbenchError(f"expected eps in (-1, 1) and delta in (0, 1/4]; got eps {eps} and delta {delta}")
    walk = _falling(spread_candidates() if candidates is None else candidates)
    walk = walk if start is None else walk[walk <= start]
    lost, won = changed(walk, confidence, little_right, big_right, offloaded_right)

    def p_values(chunk: slice) -> Floats:
        return loss_p_value(lost[chunk], won[chunk], len(confidence), eps, delta)

    best, p_value = fixed_sequence(p_values, len(walk), delta)
    threshold = above(max(1.0, float(confidence.max()))) if best is None else float(walk[best])
    return Guarantee(threshold, eps, delta, len(confidence), p_value)


def likely_start(
    confidence: Floats,
    little_right: Bools,
    big_right: Bools,
    *,
    eps: float,
    delta: float,
    records: int,
    candidates: Floats,
    offloaded_right: Bools | None = None,
) -> float:
    """The threshold at which a promise is most likely to be kept by other records: where to start their walk.

    The largest distance of eps from the measured loss in standard deviations of the other records, with one more frame
    on which the models differ. With eps above 0 the walk stays at the strictest threshold unless this distance passes
    the test nine times in ten.

    Args:
        confidence: `float (N,)` of the little model on records that the walk does not see.
        little_right: `bool (N,)`.
        big_right: `bool (N,)`.
        eps: tolerated loss of accuracy.
        delta: level of the walk.
        records: number of records that the walk sees.
        candidates: `float (K,)`, the thresholds of the walk.
        offloaded_right: `bool (N,)` as in `guaranteed_threshold`.
    """
    walk, count = _falling(candidates), len(confidence)
    lost, won = changed(walk, np.asarray(confidence, np.float64), little_right, big_right, offloaded_right)
    spread = (lost + won + 1) / count
    distance = (eps - (lost - won) / count) / np.sqrt(spread / records)
    best = int(np.argmax(distance))
    clear = distance[best] >= special.ndtri(1 - delta) + _NINE_IN_TEN
    return float(walk[best if clear or eps <= 0 else 0])


def fixed_sequence(p_values: Callable[[slice], Floats], count: int, delta: float) -> tuple[int | None, float]:
    """Walk a list of hypotheses until the first that is not rejected (see the module).

    Args:
        p_values: gives the p-values of a stretch of the list.
        count: length of the list.
        delta: level.

    Returns:
        the last hypothesis rejected and its p-value; None and 1 where the first is not.
    """
    best, p_value = None, 1.0
    for start in range(0, count, _CHUNK):
        values = p_values(slice(start, start + _CHUNK))
        failed = np.flatnonzero(values > delta)
        last = (int(failed[0]) if len(failed) else len(values)) - 1
        if last >= 0:
            best, p_value = start + last, float(values[last])
        if len(failed):
            break
    return best, p_value


def changed(
    walk: Floats, confidence: Floats, little_right: Bools, big_right: Bools, offloaded_right: Bools | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many records the cascade loses and wins against the big model at each of K thresholds.

    Args:
        walk: `float64 (K,)`, falling.
        confidence: `float64 (N,)`.
        little_right: `bool (N,)`.
        big_right: `bool (N,)`.
        offloaded_right: `bool (N,)`, as in `guaranteed_threshold`.

    Returns:
        `int64 (K,)` each.
    """
    order = np.argsort(-confidence, kind="stable")
    exits = np.searchsorted(-confidence[order], -walk, side="right")
    final = big_right if offloaded_right is None else offloaded_right
    lost = _along(big_right & ~little_right, big_right & ~final, order)[exits]
    won = _along(little_right & ~big_right, final & ~big_right, order)[exits]
    return lost, won


def _falling(candidates: Floats) -> Floats:
    result: Floats = -np.unique(-np.asarray(candidates, np.float64))
    return result


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
