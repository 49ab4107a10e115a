"""The cheapest chain against brute force."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.workbench.cascade.chain import UNUSED, Stage
from edge_sdk.workbench.cascade.cheapest_chain import cheapest_chain
from edge_sdk.workbench.cascade.curve import cascade_curve, lossless


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


@settings(max_examples=60, deadline=None)
@given(chains(), st.sampled_from([0.0, 0.1]))
def test_the_cheapest_chain_is_the_cheapest_of_all(stages: list[Stage], drop: float) -> None:
    wanted = stages[-1].right.mean() - drop - 1e-9
    least = min(walked(stages, option)[1] for option in grid(stages) if walked(stages, option)[0] >= wanted)
    found = cheapest_chain(stages, drop=drop)
    assert found.accuracy >= wanted
    assert found.macs == pytest.approx(least)


@settings(max_examples=40, deadline=None)
@given(chains(stages=2))
def test_a_chain_of_two_is_little_big(stages: list[Stage]) -> None:
    plain = [Stage(stage.confidence, stage.right, stage.macs) for stage in stages]
    curve = cascade_curve(plain[0].confidence, plain[0].right, plain[1].right, little_macs=10, big_macs=100)
    found = cheapest_chain(plain)
    # A little model that no frame leaves at is not run at all in a chain; in a cascade every frame pays for it.
    assert found.macs == pytest.approx(lossless(curve).macs if found.shares[0] else 100.0)
