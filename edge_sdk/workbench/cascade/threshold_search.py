"""Search for the thresholds of a chain that balance accuracy and compute.

The search is DyCE's, as used for exit sequences (Wang et al., "Tiny Models are the Computational Saver for Large
Models", arXiv 2403.17726, section 3.4; DyCE: arXiv 2403.01695): minimise lambda (1 - accuracy) + (1 - lambda) MACs,
both normalised, over the thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.cascade.chain import UNUSED, Outcome, Stage, check_stages, evaluate, walk
from edge_sdk.workbench.cascade.curve import Floats

METHODS = ("one-pass", "circular", "same threshold")

CANDIDATES = 64
_ROUNDS = 20


def search(
    stages: Sequence[Stage],
    weight: float,
    *,
    method: str = "circular",
    conservative: float | None = None,
    candidates: int = CANDIDATES,
) -> Outcome:
    """Thresholds that minimise `weight * (1 - accuracy) + (1 - weight) * macs`, both relative to the last stage alone.

    Accuracy is normalised by that of the last stage alone, and MACs by its cost; a stage that does not lower the
    cost is left unused.

    Args:
        stages: two or more, of the same N calibration records.
        weight: lambda, in [0, 1]: 1 looks at accuracy alone.
        method: "one-pass" sets the thresholds from the first stage to the last, once; "circular" goes round until
            nothing changes (coordinate descent; it begins at the better of the two others); "same threshold" has one
            for all.
        conservative: take this quantile of the Beta posterior as the accuracy of each stage, such as 0.1, so that
            stages at which few records leave count less; None: the plain share.
        candidates: thresholds tried per stage: quantiles of its confidence.

    Raises:
        WorkbenchError: an unknown method, a weight or quantile out of range, or records that do not fit.
    """
    check_stages(stages)
    if method not in METHODS:
        raise WorkbenchError(f"expected a method of {', '.join(METHODS)}; got {method!r}")
    if not 0 <= weight <= 1:
        raise WorkbenchError(f"expected a weight from 0 to 1; got {weight}")
    if conservative is not None and not 0 < conservative < 1:
        raise WorkbenchError(f"expected a quantile between 0 and 1; got {conservative}")
    grids = [threshold_grid(stage.confidence, candidates) for stage in stages[:-1]]
    cost = _Cost(stages, weight, conservative)
    nothing = [UNUSED] * (len(stages) - 1)
    if method == "same threshold":
        best = _same(cost, grids, nothing)
    elif method == "one-pass":
        best = _descend(cost, grids, nothing, rounds=1)
    else:
        starts = (_same(cost, grids, nothing), _descend(cost, grids, nothing, rounds=1))
        best = min((_descend(cost, grids, start, rounds=_ROUNDS) for start in starts), key=cost)
    best = _prune(cost, best)
    found = evaluate(stages, best)
    return Outcome(found.thresholds, found.accuracy, found.macs, found.shares, cost(best))


class _Cost:
    """The search's objective, cached by thresholds."""

    def __init__(self, stages: Sequence[Stage], weight: float, conservative: float | None) -> None:
        self._stages, self._weight, self._quantile = stages, weight, conservative
        whole = stages[-1]
        self._macs = sum(stage.way_macs for stage in stages) + whole.macs
        self._accuracy = max(float(whole.right.mean()), 1e-9)
        self._seen: dict[tuple[float, ...], float] = {}

    def __call__(self, thresholds: Sequence[float]) -> float:
        key = tuple(thresholds)
        if key not in self._seen:
            leaving, macs = walk(self._stages, thresholds)
            accuracy = 0.0
            for stage, mine in zip(self._stages, leaving, strict=True):
                count = int(mine.sum())
                right = int(stage.right[mine].sum())
                if self._quantile is None:
                    accuracy += right
                elif count:
                    accuracy += count * float(stats.beta.ppf(self._quantile, right + 1, count - right + 1))
            accuracy /= len(leaving[0])
            self._seen[key] = self._weight * (1 - accuracy / self._accuracy) + (1 - self._weight) * macs / self._macs
        return self._seen[key]


def threshold_grid(confidence: Floats, count: int) -> list[float]:
    """Thresholds to try, from none exits to all exit."""
    quantiles = np.unique(np.quantile(confidence, np.linspace(0, 1, count), method="nearest"))
    return [UNUSED, *(float(value) for value in quantiles[::-1])]


def _same(cost: _Cost, grids: list[list[float]], nothing: list[float]) -> list[float]:
    shared = sorted({value for grid in grids for value in grid}, reverse=True)
    if len(shared) > 4 * CANDIDATES:
        shared = [shared[int(index)] for index in np.linspace(0, len(shared) - 1, 4 * CANDIDATES)]
    return min(([value] * len(nothing) for value in shared), key=cost)


def _descend(cost: _Cost, grids: list[list[float]], start: list[float], *, rounds: int) -> list[float]:
    """Optimise one threshold after another, with the others fixed, until a round changes nothing."""
    current = list(start)
    for _ in range(rounds):
        before = list(current)
        for index, grid in enumerate(grids):
            options = ([*current[:index], value, *current[index + 1 :]] for value in (current[index], *grid))
            current = min(options, key=cost)
        if current == before:
            break
    return current


def _prune(cost: _Cost, thresholds: list[float]) -> list[float]:
    """Leave out every stage that does not lower the cost."""
    for index in range(len(thresholds)):
        without = [*thresholds[:index], UNUSED, *thresholds[index + 1 :]]
        if cost(without) <= cost(thresholds):
            thresholds = without
    return thresholds
