"""Chains of models, and exit sequences: accuracy and cost at given thresholds.

A chain is a list of stages. A frame passes along it and leaves at the first stage whose confidence is at or above that
stage's threshold; the last stage takes all remaining frames. Two kinds of chain are covered: models of growing size (a
little one on the device, a middle one, a big one), where an unused stage costs nothing; and exits along one big model,
where every frame pays the way to an exit that it passes, and an unused exit saves only its own head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.cascade.curve import Bools, Floats, check_records

UNUSED = float("inf")
"""Threshold of a stage that is not used."""


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """One stage of a chain, with its answers on N records.

    Attributes:
        confidence: `float (N,)`.
        right: `bool (N,)`, whether the stage's answer is right.
        macs: multiply-accumulates of the answer, paid by every frame that reaches the stage if the stage is used.
        way_macs: multiply-accumulates from the stage before to this one, paid by every frame that reaches it.
        name: for tables.
    """

    confidence: Floats
    right: Bools
    macs: float
    way_macs: float = 0.0
    name: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Accuracy and cost of a chain at given thresholds.

    Attributes:
        thresholds: one per stage but the last, `UNUSED` where it is not used.
        accuracy: share of the records that are answered rightly.
        macs: multiply-accumulates per frame.
        shares: share of the records that leave at each stage.
        cost: the value of the search's objective; NaN without a search.
    """

    thresholds: tuple[float, ...]
    accuracy: float
    macs: float
    shares: tuple[float, ...]
    cost: float = float("nan")


def evaluate(stages: Sequence[Stage], thresholds: Sequence[float]) -> Outcome:
    """Accuracy and cost of a chain at given thresholds.

    Args:
        stages: two or more, of the same N records.
        thresholds: one per stage but the last.

    Raises:
        WorkbenchError: records or numbers of thresholds that do not fit.
    """
    check_stages(stages)
    if len(thresholds) != len(stages) - 1:
        raise WorkbenchError(f"expected {len(stages) - 1} thresholds for {len(stages)} stages; got {len(thresholds)}")
    leaving, macs = walk(stages, thresholds)
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
    are drawn with replacement, and both are evaluated on each draw.

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
    mine, macs = each_frame(stages, thresholds)
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


def each_frame(stages: Sequence[Stage], thresholds: Sequence[float]) -> tuple[Bools, Floats]:
    """Whether each record is named rightly, `bool (N,)`, and what it costs in MACs, `float (N,)`."""
    leaving, _ = walk(stages, thresholds)
    right = np.zeros(len(stages[0].right), np.bool_)
    macs = np.zeros(len(right))
    there = np.ones(len(right), np.bool_)
    for index, (stage, mine) in enumerate(zip(stages, leaving, strict=True)):
        used = index == len(stages) - 1 or thresholds[index] != UNUSED
        macs[there] += stage.way_macs + (stage.macs if used else 0.0)
        right[mine] = stage.right[mine]
        there &= ~mine
    return right, macs


def walk(stages: Sequence[Stage], thresholds: Sequence[float]) -> tuple[list[Bools], float]:
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


def check_stages(stages: Sequence[Stage]) -> None:
    """Check that there are two stages or more, with records of one length.

    Raises:
        WorkbenchError: there are not; the message names the stage.
    """
    if len(stages) < 2:
        raise WorkbenchError(f"expected two or more stages; got {len(stages)}")
    check_records(
        **{
            f"{what} of stage {index + 1}": np.asarray(array)
            for index, stage in enumerate(stages)
            for what, array in (("right", stage.right), ("confidence", stage.confidence))
        }
    )
