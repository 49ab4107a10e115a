"""The cheapest thresholds of a chain under a limit on the loss of accuracy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_sdk.workbench.cascade.chain import UNUSED, Outcome, Stage, check_stages, evaluate, walk
from edge_sdk.workbench.cascade.threshold_search import threshold_grid


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
    check_stages(stages)
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
        heads = [[*head, value] for head in heads for value in threshold_grid(stage.confidence, per_stage)]
    return heads


def _complete(stages: Sequence[Stage], head: list[float], wanted: float) -> Outcome | None:
    """The best threshold of the stage before the last, the earlier ones given: exact, by one sort."""
    leaving, _ = walk(stages[:-1], head)
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
