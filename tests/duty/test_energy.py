from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.config import PowerModel
from edge_sdk.duty import Spent

POWER = PowerModel(active_watts=1.0, joules_per_byte=1e-5, asleep_watts=0.1, awake_watts=1.5, wake_joules=2.0)
TIMES = st.floats(0, 1e5)
SPENT = st.builds(Spent, TIMES, TIMES, st.integers(0, 1000), TIMES, st.integers(0, 10**9))


def test_one_cycle_in_joules() -> None:
    cycle = Spent(asleep_s=600, awake_s=20, wakes=1, model_s=0.5, sent_bytes=50_000)
    assert cycle.parts(POWER) == pytest.approx({"sleep": 60, "wake": 2, "look": 30, "answer": 0.5, "send": 0.5})
    assert cycle.joules(POWER) == pytest.approx(93)
    assert cycle.mean_watts(POWER) == pytest.approx(0.15)
    assert Spent().mean_watts(POWER) == 0


@given(SPENT, SPENT)
def test_what_adds_up_costs_what_its_parts_cost(one: Spent, other: Spent) -> None:
    assert (one + other).joules(POWER) == pytest.approx(one.joules(POWER) + other.joules(POWER))
