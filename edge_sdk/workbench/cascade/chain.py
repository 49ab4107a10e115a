"""Chains of models, and exit sequences: thresholds of many stages, found jointly.

A chain is a list of stages. A frame walks along it and leaves at the first stage whose confidence is at or above that
stage's threshold; the last stage takes all that is left. Two kinds are one here: models of growing size (little on the
device, a middle one, the big one), where a stage that is not used costs nothing; and exits along one big model, where
the way to an exit is paid by all who pass it and only the exit's own head is saved where it is not used.

The search is DyCE's, as used for exit sequences (Wang et al., "Tiny Models are the Computational Saver for Large
Models", arXiv 2403.17726, section 3.4; DyCE: arXiv 2403.01695): minimise lambda (1 - accuracy) + (1 - lambda) MACs,
both normalised, over the thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.cascade.curve import Bools, Floats, check_records

METHODS = ("one-pass", "circular", "same threshold")
UNUSED = float("inf")
"""Threshold of a stage that is passed over."""

_CANDIDATES = 64
_ROUNDS = 20


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """One place where a frame may leave.

    Attributes:
        confidence: `float (N,)`.
        right: `bool (N,)`, whether an answer given here is right.
        macs: multiply-accumulates of the answer itself, paid by frames that reach the stage, if it is used.
        way_macs: multiply-accumulates of the way from the stage before, paid by all that go this far or farther.
        name: for tables.
    """

    confidence: Floats
    right: Bools
    macs: float
    way_macs: float = 0.0
    name: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A chain at given thresholds, on its records.

    Attributes:
        thresholds: one per stage but the last, `UNUSED` where it is passed over.
        accuracy: share of the records that are named rightly.
        macs: multiply-accumulates per frame.
        shares: share of the records that leave at each stage.
        cost: what the search minimised; NaN where there was no search.
    """

    thresholds: tuple[float, ...]
    accuracy: float
    macs: float
    shares: tuple[float, ...]
    cost: float = float("nan")


def evaluate(stages: Sequence[Stage], thresholds: Sequence[float]) -> Outcome:
    """How a chain fares at given thresholds.

    Args:
        stages: two or more, of the same N records.
        thresholds: one per stage but the last.

    Raises:
        WorkbenchError: records or numbers of thresholds that do not fit.
    """
    _check(stages)
    if len(thresholds) != len(stages) - 1:
        raise WorkbenchError(f"expected {len(stages) - 1} thresholds for {len(stages)} stages; got {len(thresholds)}")
    leaving, macs = _walk(stages, thresholds)
    count = len(stages[0].right)
    right = sum(int(stage.right[mine].sum()) for stage, mine in zip(stages, leaving, strict=True))
    shares = tuple(float(mine.mean()) for mine in leaving)
    return Outcome(tuple(float(value) for value in thresholds), right / count, macs, shares)


@dataclass(frozen=True, slots=True)
class Advantage:
    """What a chain gains over a single exit that costs the same.

    Attributes:
        value: accuracy of the chain less that of the single exit at equal MACs, on the same records.
        low: 2.5% quantile of it over bootstrap draws of the records.
        high: 97.5% quantile.
    """

    value: float
    low: float
    high: float


def advantage(stages: Sequence[Stage], thresholds: Sequence[float], *, draws: int = 1000, seed: int = 0) -> Advantage:
    """Accuracy that a chain gains over the plain cascade of its first stage and the whole way, at equal MACs.

    The plain cascade is taken at the threshold that spends what the chain spends on the same records (between two
    records, on the straight line), so that one number says which is better. The interval is the bootstrap's: records
    are drawn with replacement, and both are judged on each draw.

    Args:
        stages: two or more, of the same N records.
        thresholds: one per stage but the last, fixed beforehand on other records.
        draws: bootstrap draws.
        seed: of the draws.

    Raises:
        WorkbenchError: records or numbers of thresholds that do not fit.
    """
    evaluate(stages, thresholds)
    first, last = stages[0], stages[-1]
    count = len(first.right)
    mine, macs = _each(stages, thresholds)
    whole = sum(stage.way_macs for stage in stages[1:]) + last.macs
    order = np.argsort(first.confidence, kind="stable")
    answers = np.stack([last.right[order], first.right[order], mine[order]]).astype(np.float64)
    macs = macs[order]

    def gap(weights: Floats) -> float:
        share = (float(weights @ macs) - first.macs - first.way_macs) / whole
        before = np.concatenate([[0.0], np.cumsum(weights)])
        offloaded = np.concatenate([[0.0], np.cumsum(weights * answers[0])])
        kept = np.concatenate([[0.0], np.cumsum(weights * answers[1])])
        curve = offloaded + kept[-1] - kept
        return float(weights @ answers[2]) - float(np.interp(share, before, curve))

    rng = np.random.default_rng(seed)
    drawn = [gap(rng.multinomial(count, np.full(count, 1 / count)) / count) for _ in range(draws)]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Advantage(gap(np.full(count, 1 / count)), float(low), float(high))


def _each(stages: Sequence[Stage], thresholds: Sequence[float]) -> tuple[Bools, Floats]:
    """Whether each record is named rightly, and what it costs."""
    leaving, _ = _walk(stages, thresholds)
    right = np.zeros(len(stages[0].right), np.bool_)
    macs = np.zeros(len(right))
    there = np.ones(len(right), np.bool_)
    for index, (stage, mine) in enumerate(zip(stages, leaving, strict=True)):
        used = index == len(stages) - 1 or thresholds[index] != UNUSED
        macs[there] += stage.way_macs + (stage.macs if used else 0.0)
        right[mine] = stage.right[mine]
        there &= ~mine
    return right, macs


def _walk(stages: Sequence[Stage], thresholds: Sequence[float]) -> tuple[list[Bools], float]:
    """Who leaves at which stage, and the mean cost."""
    there = np.ones(len(stages[0].right), np.bool_)
    leaving, macs = [], 0.0
    for index, stage in enumerate(stages):
        macs += there.mean() * stage.way_macs
        last = index == len(stages) - 1
        used = last or thresholds[index] != UNUSED
        mine = there & (True if last else stage.confidence >= thresholds[index]) if used else np.zeros_like(there)
        macs += there.mean() * stage.macs if used else 0.0
        leaving.append(mine)
        there = there & ~mine
    return leaving, float(macs)


def search(
    stages: Sequence[Stage],
    weight: float,
    *,
    method: str = "circular",
    conservative: float | None = None,
    candidates: int = _CANDIDATES,
) -> Outcome:
    """Thresholds that minimise `weight * (1 - accuracy) + (1 - weight) * macs`, both relative to the last stage alone.

    Accuracy is normalised by that of the last stage alone, and MACs by its cost; stages that do not lower the cost are
    left unused.

    Args:
        stages: two or more, of the same N calibration records.
        weight: lambda, in [0, 1]: 1 looks at accuracy alone.
        method: "one-pass" sets the thresholds from the first stage to the last, once; "circular" goes round until
            nothing changes (coordinate descent; it begins at the better of the two others); "same threshold" has one
            for all.
        conservative: count the accuracy of each stage as this quantile of its Beta posterior, such as 0.1, so that
            stages at which few records leave are not trusted; None: the plain share.
        candidates: thresholds tried per stage: quantiles of its confidence.

    Raises:
        WorkbenchError: an unknown method, a weight or quantile out of range, or records that do not fit.
    """
    _check(stages)
    if method not in METHODS:
        raise WorkbenchError(f"expected a method of {', '.join(METHODS)}; got {method!r}")
    if not 0 <= weight <= 1:
        raise WorkbenchError(f"expected a weight from 0 to 1; got {weight}")
    if conservative is not None and not 0 < conservative < 1:
        raise WorkbenchError(f"expected a quantile between 0 and 1; got {conservative}")
    grids = [_grid(stage.confidence, candidates) for stage in stages[:-1]]
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
    """The search's objective, remembered for thresholds that were seen."""

    def __init__(self, stages: Sequence[Stage], weight: float, conservative: float | None) -> None:
        self._stages, self._weight, self._quantile = stages, weight, conservative
        whole = stages[-1]
        self._macs = sum(stage.way_macs for stage in stages) + whole.macs
        self._accuracy = max(float(whole.right.mean()), 1e-9)
        self._seen: dict[tuple[float, ...], float] = {}

    def __call__(self, thresholds: Sequence[float]) -> float:
        key = tuple(thresholds)
        if key not in self._seen:
            leaving, macs = _walk(self._stages, thresholds)
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


def _grid(confidence: Floats, count: int) -> list[float]:
    """Thresholds to try, from none exits to all exit."""
    quantiles = np.unique(np.quantile(confidence, np.linspace(0, 1, count), method="nearest"))
    return [UNUSED, *(float(value) for value in quantiles[::-1])]


def _same(cost: _Cost, grids: list[list[float]], nothing: list[float]) -> list[float]:
    shared = sorted({value for grid in grids for value in grid}, reverse=True)
    if len(shared) > 4 * _CANDIDATES:
        shared = [shared[int(index)] for index in np.linspace(0, len(shared) - 1, 4 * _CANDIDATES)]
    return min(([value] * len(nothing) for value in shared), key=cost)


def _descend(cost: _Cost, grids: list[list[float]], start: list[float], *, rounds: int) -> list[float]:
    """Set one threshold after another to its best, the others held, until a round changes nothing."""
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
    """Pass over stages that do not pay."""
    for index in range(len(thresholds)):
        without = [*thresholds[:index], UNUSED, *thresholds[index + 1 :]]
        if cost(without) <= cost(thresholds):
            thresholds = without
    return thresholds


def cheapest_chain(stages: Sequence[Stage], *, drop: float = 0.0, candidates: int = 128) -> Outcome:
    """The cheapest thresholds that lose at most `drop` against the last stage alone, jointly over all stages.

    Three stages are searched exactly in the last threshold for each of `candidates` of the first; longer chains stage
    by stage over the same choice. Two stages are exact (`cascade_curve`).

    Args:
        stages: two or more, of the same N records, of growing cost.
        drop: tolerated loss, a share of the records.
        candidates: thresholds tried for each stage but the one before the last.

    Returns:
        the best chain found; where no exit is free, all frames go to the last stage.
    """
    _check(stages)
    wanted = float(stages[-1].right.sum()) - drop * len(stages[0].right) - 1e-9
    best: Outcome | None = None
    for head in _heads(stages, candidates):
        chain = _complete(stages, head, wanted)
        if chain is not None and (best is None or (chain.macs, -chain.accuracy) < (best.macs, -best.accuracy)):
            best = chain
    assert best is not None  # all unused is among them
    return best


def _heads(stages: Sequence[Stage], candidates: int) -> list[list[float]]:
    """Thresholds of all stages but the last two: a grid, thinned so that some 20,000 remain."""
    free = len(stages) - 2
    if not free:
        return [[]]
    per_stage = max(4, min(candidates, int(20_000 ** (1 / free))))
    heads: list[list[float]] = [[]]
    for stage in stages[:-2]:
        heads = [[*head, value] for head in heads for value in _grid(stage.confidence, per_stage)]
    return heads


def _complete(stages: Sequence[Stage], head: list[float], wanted: float) -> Outcome | None:
    """The best threshold of the stage before the last, the earlier ones given: exact, by one sort."""
    leaving, _ = _walk(stages[:-1], head)
    settled = sum(int(stage.right[mine].sum()) for stage, mine in zip(stages[:-2], leaving[:-1], strict=True))
    there = leaving[-1]
    gate, final = stages[-2], stages[-1]
    confidence = gate.confidence[there]
    order = np.argsort(-confidence, kind="stable")
    won = np.cumsum(gate.right[there][order].astype(np.int64) - final.right[there][order])
    right = settled + int(final.right[there].sum()) + np.append(0, won)
    ends = np.append(0, np.flatnonzero(np.append(np.diff(confidence[order]) != 0, True)) + 1) if len(order) else [0]
    good = [int(end) for end in ends if right[end] >= wanted]
    if not good:
        return None
    options = [UNUSED] if good[0] == 0 else []
    if good[-1] > 0:
        options.append(float(confidence[order][good[-1] - 1]))
    return min((evaluate(stages, [*head, option]) for option in options), key=lambda one: one.macs)


def _check(stages: Sequence[Stage]) -> None:
    if len(stages) < 2:
        raise WorkbenchError(f"expected two or more stages; got {len(stages)}")
    check_records(
        **{
            f"{what} of stage {index + 1}": np.asarray(array)
            for index, stage in enumerate(stages)
            for what, array in (("right", stage.right), ("confidence", stage.confidence))
        }
    )
