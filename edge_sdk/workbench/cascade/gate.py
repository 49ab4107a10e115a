"""A learned gate: what is a second opinion worth? A table from the little model's output to the expected gain.

The best frames to offload are those with the largest P(big is right) - P(little is right), not those with the smallest
confidence: where both models fail, a second opinion is worth nothing. The gate estimates that difference from the class
that the little model names and how sure it is (its confidence less a part of the runner-up's probability, between
maximum softmax and margin): a falling curve of the gain, per class, drawn towards the curve of all classes where a
class has few records. It is written as a plain table, which the device reads in microseconds.

Which score to use is judged by the area under the accuracy-cost curve, each record scored by a gate that was fitted
without it (K-fold cross-validation); the difference to the maximum softmax is tested by the bootstrap over records.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from edge_sdk.errors import WorkbenchError
from edge_sdk.model.policy import GainTable
from edge_sdk.workbench.cascade.confidence import SCORES, check_labels, energy
from edge_sdk.workbench.cascade.curve import Bools, Floats, cascade_curve, check_records, lossless

_KNOTS = 33
_RUNNER_UP = (0.0, 0.5, 1.0)
_PRIORS = (math.inf, 1000.0, 200.0)
_FEWEST = 10
_FOLDS = 4
_SLOPE = 0.0005
_DRAWS = 24
MAX_SOFTMAX, GATE = "max softmax", "learned gate"


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
    # Knots where the records are, so that the table is fine where it matters.
    knots = np.unique(np.quantile(sure, np.linspace(0, 1, _KNOTS)))
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
    rows = []
    for count, own in fits.own:
        share = count / (count + prior_records) if math.isfinite(prior_records) else 0.0
        rows.append(share * own + (1 - share) * fits.pooled)
    return GainTable(
        confidences=tuple(float(round(knot, 6)) for knot in fits.knots),
        gains=tuple(tuple(float(round(value, 5)) for value in row) for row in rows),
        runner_up=runner_up,
    )


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


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a score ranks records, against the maximum softmax.

    Attributes:
        name: of the score.
        area: under the curve of accuracy over exit ratio, in [0, 1], cross-validated; higher is better.
        difference: of the area to that of the maximum softmax.
        low: 2.5% quantile of the difference over bootstrap draws of the records.
        high: 97.5% quantile.
        macs_lossless: MACs per frame at no loss, relative to the big model's.
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
        little_macs: per frame.
        big_macs: per frame.
        logits: `float (N, C)`, for the energy; default: it is left out.
        folds: of the cross-validation; records are dealt to them at random.
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


def held_out_gains(
    probabilities: Floats, little_right: Bools, big_right: Bools, *, folds: int = 5, seed: int = 0
) -> Floats:
    """The expected gain of N records, each by a gate that was fitted without it.

    A threshold that is chosen on the records a gate was fitted on promises too much; on these it does not.

    Args:
        probabilities: `float (N, C)` of the little model, calibrated.
        little_right: `bool (N,)`.
        big_right: `bool (N,)`.
        folds: records are dealt to so many at random.
        seed: of the dealing.
    """
    fold = np.random.default_rng(seed).permutation(len(probabilities)) % folds
    result = np.empty(len(fold))
    for number in range(folds):
        mine, rest = fold == number, fold != number
        result[mine] = gains(fit_gate(probabilities[rest], little_right[rest], big_right[rest]), probabilities[mine])
    return result


def _macs_lossless(score: Floats, little: Bools, big: Bools, little_macs: float, big_macs: float) -> float:
    return lossless(cascade_curve(score, little, big, little_macs=little_macs, big_macs=big_macs)).macs


def ensemble(little: Floats, big: Floats, weight: float) -> NDArray[np.int64]:
    """The class of the weighted mean of both models' probabilities, for offloaded frames.

    Args:
        little: `float (N, C)`.
        big: `float (N, C)`, of the same labels in the same order.
        weight: of the little model, in [0, 1]; 0 is the big model alone.
    """
    if little.shape != big.shape:
        raise WorkbenchError(f"expected probabilities of one shape from both models; got {little.shape}, {big.shape}")
    named: NDArray[np.int64] = (weight * little + (1 - weight) * big).argmax(axis=1)
    return named


def fit_ensemble(
    little: Floats, big: Floats, truths: NDArray[np.integer], *, offloaded: Bools | None = None
) -> tuple[float, float]:
    """The little model's weight in the answer on offloaded frames, of 0, 0.05 .. 0.5, and the accuracy gained by it.

    Args:
        little: `float (N, C)`.
        big: `float (N, C)`.
        truths: `int (N,)`.
        offloaded: `bool (N,)`, the records to judge by; default: all.

    Returns:
        weight, and the gain on these records over the big model alone.
    """
    check_labels(little, truths)
    chosen = np.ones(len(truths), np.bool_) if offloaded is None else offloaded
    if not chosen.any():
        return 0.0, 0.0
    weights = np.linspace(0, 0.5, 11)
    accuracy = [float((ensemble(little[chosen], big[chosen], float(w)) == truths[chosen]).mean()) for w in weights]
    best = int(np.argmax(accuracy))
    return float(weights[best]), accuracy[best] - accuracy[0]
