"""The limits of each round."""

import little_task
import pytest

from edge_sdk.networks.pruning.structure import find_structure
from edge_sdk.workbench.specialize.allocate import Limits
from edge_sdk.workbench.specialize.cost import Cost
from edge_sdk.workbench.specialize.method import Method, halvings, rounds_of


@pytest.mark.parametrize(("factor", "rounds"), [(1.0, 1), (2.0, 1), (2.01, 1), (2.1, 2), (4.0, 2), (10.0, 4)])
def test_rounds_of_halving(factor: float, rounds: int) -> None:
    assert halvings(factor) == rounds


def test_rounds_approach_the_limits_by_equal_factors() -> None:
    module, _ = little_task.network("resnet10t")
    cost = Cost(module, find_structure(module, 32, 32), 32, 32)
    limits = Limits(parameters=cost.parameters // 8, macs=cost.macs // 2)
    assert rounds_of(cost, limits, Method()) == [limits]
    rounds = rounds_of(cost, limits, Method(schedule="gradual"))
    assert len(rounds) == 3 and rounds[-1] == limits
    for one, share in zip(rounds, (1 / 3, 2 / 3, 1), strict=True):
        assert one.parameters == pytest.approx(cost.parameters / 8**share, rel=0.01)
        assert one.macs == pytest.approx(cost.macs / 2**share, rel=0.01)
    only = rounds_of(cost, Limits(limits.parameters), Method(schedule="gradual"))
    assert [one.macs for one in only] == [None] * 3
