"""A learned gate: a table from the little model's output to the expected gain of a second opinion.

The best frames to offload are those with the largest P(big is right) - P(little is right), not those with the smallest
confidence: where both models fail, a second opinion is worth nothing. The gate estimates that difference from the class
that the little model names and how sure it is (its confidence less a part of the runner-up's probability, between
maximum softmax and margin): a falling curve of the gain, per class, drawn towards the curve of all classes where a
class has few records. It is written as a plain table, which the device reads in microseconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

from edge_sdk.model.policy import GainTable
from edge_sdk.workbench.cascade.confidence import check_labels
from edge_sdk.workbench.cascade.curve import Bools, Floats, cascade_curve, check_records

_KNOTS = 33
_RUNNER_UP = (0.0, 0.5, 1.0)
_PRIORS = (math.inf, 1000.0, 200.0)
_FEWEST = 10
_FOLDS = 4
_SLOPE = 0.0005
_DRAWS = 24


def fit_gate(probabilities: Floats, little_right: Bools, big_right: Bools, *, seed: int = 0) -> GainTable:
    """Fit a gate on N records.

    How much the runner-up counts, and how much a class's own records count against all, is chosen by the area under
    the accuracy-cost curve in a cross-validation within these records.

    Args:
        probabilities: `float (N, C)` of the little model, calibrated.
        little_right: `bool (N,)`.
        big_right: `bool (N,)`.
        seed: of the cross-validation's folds.

    Raises:
        WorkbenchError: arrays that do not fit one another.
    """
    probabilities = np.asarray(probabilities, np.float64)
    check_labels(probabilities, np.zeros(len(probabilities), np.int64))
    check_records(confidence=probabilities.max(axis=1), little_right=little_right, big_right=big_right)
    gain = big_right.astype(np.float64) - little_right
    fold = np.random.default_rng(seed).permutation(len(gain)) % _FOLDS
    choices = [(runner_up, prior) for runner_up in _RUNNER_UP for prior in _PRIORS]
    best = choices[0]
    if len(gain) >= 20 * _FOLDS:
        said = {choice: np.empty(len(gain)) for choice in choices}
        for number in range(_FOLDS):
            mine, rest = fold == number, fold != number
            for runner_up in _RUNNER_UP:
                fits = _fits(probabilities[rest], gain[rest], runner_up)
                for prior in _PRIORS:
                    said[runner_up, prior][mine] = gains(_table(fits, runner_up, prior), probabilities[mine])

        def area(choice: tuple[float, float]) -> float:
            return cascade_curve(-said[choice], little_right, big_right, little_macs=0.0, big_macs=1.0).area()

        best = max(choices, key=area)  # of equals the first, which is the plainest
    return _table(_fits(probabilities, gain, best[0]), *best)


@dataclass(frozen=True, slots=True, eq=False)
class _Fits:
    """Curves of the gain at the knots: of all classes together, and of each, with its number of records."""

    knots: Floats
    pooled: Floats
    own: list[tuple[int, Floats]]


def _fits(probabilities: Floats, gain: Floats, runner_up: float) -> _Fits:
    named, sure = probabilities.argmax(axis=1), _sure(probabilities, runner_up)
    # Knots where the records are, so that the table is fine where it matters; rounded first, since two that differ only
    # behind the table's last digit are one there.
    knots = np.unique(np.quantile(sure, np.linspace(0, 1, _KNOTS)).round(6))
    if len(knots) < 2:
        knots = np.array([0.0, 1.0])
    pooled = _falling(sure, gain, knots, _DRAWS)
    own = []
    for label in range(probabilities.shape[1]):
        mine = named == label
        count = int(mine.sum())
        own.append((count, _falling(sure[mine], gain[mine], knots, _DRAWS // 3) if count >= _FEWEST else pooled))
    return _Fits(knots, pooled, own)


def _table(fits: _Fits, runner_up: float, prior_records: float) -> GainTable:
    """A class with `prior_records` records counts as much as all classes together."""
    usual = _rounded(fits.pooled)  # of a thousand classes most have too few records for a row of their own
    rows = []
    for count, own in fits.own:
        if own is fits.pooled:
            rows.append(usual)
            continue
        share = count / (count + prior_records) if math.isfinite(prior_records) else 0.0
        rows.append(_rounded(share * own + (1 - share) * fits.pooled))
    return GainTable(confidences=tuple(float(knot) for knot in fits.knots), gains=tuple(rows), runner_up=runner_up)


def _rounded(row: Floats) -> tuple[float, ...]:
    return tuple(float(round(value, 5)) for value in row)


def _sure(probabilities: Floats, runner_up: float) -> Floats:
    """The confidence less a part of the runner-up's probability."""
    top: Floats = probabilities.max(axis=1)
    if runner_up and probabilities.shape[1] > 1:
        return top - runner_up * np.partition(probabilities, -2, axis=1)[:, -2]
    return top


def _falling(confidence: Floats, gain: Floats, knots: Floats, draws: int) -> Floats:
    """Gain as a falling function of confidence, read at the knots.

    The mean of two fits: isotonic regression, which follows any falling shape but is constant in steps and leans
    outwards at both ends (so it is averaged over bootstrap draws), and a straight line, which is what a little model of
    calibrated confidence p gives if the big one mends a fixed part of its mistakes and breaks a fixed part of the rest:
    gain = (1 - p) a - p b. On held-out records the mean has a smaller squared error and a larger area than either fit
    with few records.
    """
    rng = np.random.default_rng(0)
    order = np.argsort(confidence, kind="stable")
    sure, rise = confidence[order], gain[order]
    steps = np.zeros(len(knots))
    for _ in range(draws):
        weights = rng.multinomial(len(sure), np.full(len(sure), 1 / len(sure)))
        kept = weights > 0
        fitted = isotonic_regression(rise[kept], weights=weights[kept], increasing=False).x
        at, first = np.unique(sure[kept], return_index=True)
        ends = np.append(first[1:], len(fitted))
        steps += np.interp(knots, at, np.add.reduceat(fitted, first) / (ends - first)) / draws
    spread = float(np.var(sure))
    slope = min(0.0, float(np.mean((sure - sure.mean()) * (rise - rise.mean()))) / spread) if spread else 0.0
    line = rise.mean() + slope * (knots - sure.mean())
    result: Floats = (steps + line) / 2 + _SLOPE * (0.5 - knots)
    return result


def gains(table: GainTable, probabilities: Floats) -> Floats:
    """The expected gain of N records, `float64 (N,)`, as the device reads it from the table."""
    probabilities = np.asarray(probabilities, np.float64)
    named, sure = probabilities.argmax(axis=1), _sure(probabilities, table.runner_up)
    result = np.empty(len(probabilities))
    for label, row in enumerate(table.gains):
        mine = named == label
        result[mine] = np.interp(sure[mine], table.confidences, row)
    return result


def held_out_gains(
    probabilities: Floats, little_right: Bools, big_right: Bools, *, folds: int = 5, seed: int = 0
) -> Floats:
    """The expected gain of N records, each by a gate that was fitted without it.

    A threshold chosen on a gate's own fitting records would promise too much; chosen on these values, it does not.

    Args:
        probabilities: `float (N, C)` of the little model, calibrated.
        little_right: `bool (N,)`.
        big_right: `bool (N,)`.
        folds: number of folds; records are assigned at random.
        seed: of the assignment.
    """
    fold = np.random.default_rng(seed).permutation(len(probabilities)) % folds
    result = np.empty(len(fold))
    for number in range(folds):
        mine, rest = fold == number, fold != number
        result[mine] = gains(fit_gate(probabilities[rest], little_right[rest], big_right[rest]), probabilities[mine])
    return result
