from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_server.model.run_times import RunTimes

SIZES = st.lists(st.integers(1, 64), min_size=1, max_size=20)


@given(SIZES, st.floats(0, 1), st.floats(1e-6, 1))
def test_a_line_is_found_again(sizes: list[int], start_s: float, each_s: float) -> None:
    times = RunTimes()
    for size in sizes:
        times.add(size, start_s + each_s * size)
    for size in range(min(sizes), max(sizes) + 1):
        assert times.of(size) == pytest.approx(start_s + each_s * size)
    if len(set(sizes)) > 1:
        assert times.line() == pytest.approx((start_s, each_s), abs=1e-9)


@given(st.lists(st.tuples(st.integers(1, 64), st.floats(0, 10)), max_size=30))
def test_no_time_is_negative_whatever_ran(runs: list[tuple[int, float]]) -> None:
    times = RunTimes()
    for size, took_s in runs:
        times.add(size, took_s)
    assert all(times.of(size) >= 0 for size in range(1, 100))
    assert min(times.line()) >= 0


def test_nothing_is_known_at_the_beginning_and_of_one_size_no_start() -> None:
    times = RunTimes()
    assert (times.of(5), times.line()) == (0.0, (0.0, 0.0))
    times.add(4, 2.0)
    assert (times.of(1), times.of(4), times.of(8), times.line()) == (2.0, 2.0, 4.0, (0.0, 0.5))
