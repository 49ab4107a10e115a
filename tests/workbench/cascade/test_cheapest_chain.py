"""The cheapest chain against brute force."""

from __future__ import annotations

import pytest
from chain_parts import chains, grid, walked
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.workbench.cascade.chain import Stage
from edge_sdk.workbench.cascade.cheapest_chain import cheapest_chain
from edge_sdk.workbench.cascade.curve import cascade_curve, lossless


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
