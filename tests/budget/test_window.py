from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.budget.limits import Budget
from edge_sdk.budget.window import SLOTS, SlidingWindow

SECOND_NS = 10**9
FINE = 7 * SLOTS
"""Steps per period, so that charges fall anywhere within a slot."""

periods_ns = st.one_of(st.integers(1, 2000), st.integers(1, 3600).map(lambda s: s * SECOND_NS))
moves = st.one_of(st.integers(0, 2 * FINE), st.integers(0, 14), st.integers(FINE - 14, FINE + 14))
steps = st.lists(st.tuples(moves, st.integers(0, 60)), max_size=60)


@given(period_ns=periods_ns, limit=st.integers(0, 100), steps=steps)
def test_no_sliding_window_ever_holds_more_than_the_limit(
    period_ns: int, limit: int, steps: list[tuple[int, int]]
) -> None:
    window = SlidingWindow(Budget(limit, period_ns / SECOND_NS))
    granted: list[tuple[int, int]] = []
    now_ns = 0
    for step, amount in steps:
        now_ns += step * period_ns // FINE
        if window.fits(amount, now_ns):
            window.charge(amount, now_ns)
            granted.append((now_ns, amount))
    for end_ns, _ in granted:
        assert sum(amount for at_ns, amount in granted if end_ns - window.period_ns < at_ns <= end_ns) <= limit


@given(period_ns=periods_ns, limit=st.integers(0, 100), steps=steps)
def test_a_charge_is_refused_only_where_a_window_one_slot_longer_is_full(
    period_ns: int, limit: int, steps: list[tuple[int, int]]
) -> None:
    window = SlidingWindow(Budget(limit, period_ns / SECOND_NS))
    slot_ns = -(-window.period_ns // SLOTS)
    granted: list[tuple[int, int]] = []
    now_ns = 0
    for step, amount in steps:
        now_ns += step * period_ns // FINE
        if window.fits(amount, now_ns):
            window.charge(amount, now_ns)
            granted.append((now_ns, amount))
        else:
            recent = sum(charged for at_ns, charged in granted if at_ns > now_ns - (SLOTS + 1) * slot_ns)
            assert recent + amount > limit


@given(period_ns=periods_ns, limit=st.integers(1, 100), steps=steps, amount=st.integers(0, 120))
def test_the_wait_is_the_first_moment_at_which_it_fits(
    period_ns: int, limit: int, steps: list[tuple[int, int]], amount: int
) -> None:
    window = SlidingWindow(Budget(limit, period_ns / SECOND_NS))
    now_ns = 0
    for step, charged in steps:
        now_ns += step * period_ns // FINE
        window.charge(charged, now_ns)
    wait_ns = window.wait_ns(amount, now_ns)
    if amount > limit:
        assert wait_ns is None
        return
    assert wait_ns is not None
    if wait_ns > 0:
        assert not window.fits(amount, now_ns + wait_ns - 1)
    assert window.fits(amount, now_ns + wait_ns)


def test_it_holds_a_bounded_history() -> None:
    window = SlidingWindow(Budget(10**9, 1.0))
    for now_ns in range(0, 100 * SECOND_NS, SECOND_NS // 1000):
        window.charge(1, now_ns)
        window.spent(now_ns)
    assert len(window._slots) <= SLOTS + 1
