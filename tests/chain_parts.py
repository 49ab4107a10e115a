"""Random chains, and walking them record by record."""

from __future__ import annotations

from itertools import product

import numpy as np
from hypothesis import strategies as st

from edge_sdk.workbench.cascade.chain import UNUSED, Stage


@st.composite
def chains(draw: st.DrawFn, stages: int = 3, most: int = 14) -> list[Stage]:
    count = draw(st.integers(1, most))
    found = []
    for index in range(stages):
        confidence = draw(st.lists(st.integers(0, 6), min_size=count, max_size=count))
        right = draw(st.lists(st.booleans(), min_size=count, max_size=count))
        way = draw(st.sampled_from([0.0, 3.0]))
        found.append(Stage(np.array(confidence) / 6, np.array(right), 10.0 ** (index + 1), way))
    return found


def walked(stages: list[Stage], thresholds: tuple[float, ...]) -> tuple[float, float]:
    """Accuracy and cost, record by record."""
    right, macs = 0, 0.0
    for record in range(len(stages[0].right)):
        for index, stage in enumerate(stages):
            macs += stage.way_macs
            last = index == len(stages) - 1
            if not last and thresholds[index] == UNUSED:
                continue
            macs += stage.macs
            if last or stage.confidence[record] >= thresholds[index]:
                right += int(stage.right[record])
                break
    count = len(stages[0].right)
    return right / count, macs / count


def grid(stages: list[Stage]) -> list[tuple[float, ...]]:
    return list(product(*([UNUSED, *np.unique(stage.confidence)] for stage in stages[:-1])))
