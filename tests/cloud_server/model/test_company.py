"""An idle model waits for company exactly where all are answered sooner by it."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_server.model.company import RETURN_S, Returns, saving_s, worth_waiting_s

TIMES = st.floats(0, 0.1)
COUNTS = st.integers(1, 12)


def answered_s(groups: list[list[float]], start_s: float, each_s: float) -> float:
    """Sum over all frames of the time of its answer, where groups, of the times of being ready, run in turn."""
    free_s = total_s = 0.0
    for group in groups:
        free_s = max(free_s, max(group)) + start_s + each_s * len(group)
        total_s += free_s * len(group)
    return total_s


@given(COUNTS, st.integers(0, 8), COUNTS, TIMES, st.integers(1, 4), TIMES, TIMES)
def test_what_is_waited_for_beats_all_other_waits(
    ready: int, coming: int, room: int, one_s: float, at_once: int, start_s: float, each_s: float
) -> None:
    """Brute force: wait for the first 0, 1, 2, ... of those coming, which count alone."""
    times = [one_s * -(-(index + 1) // at_once) for index in range(min(coming, room))]

    def saved(more: int) -> float:
        """Against running at once, with the same `more` behind in one run that finds them ready."""
        apart = answered_s([[0.0] * ready, [0.0] * more], start_s, each_s) if more else 0.0
        return apart - answered_s([[0.0] * ready + times[:more]], start_s, each_s) if more else 0.0

    best = max((saved(more) for more in range(len(times) + 1)), default=0.0)
    wait_s = worth_waiting_s(
        ready, coming, room, one_s=one_s, at_once=at_once, first_s=0.0, start_s=start_s, each_s=each_s
    )
    if wait_s > 0:
        counts = [more for more in range(1, len(times) + 1) if times[more - 1] == wait_s]
        assert max(saved(more) for more in counts) == pytest.approx(best, abs=1e-9)
    else:
        assert best == pytest.approx(
            max(0.0, *(saved(more) for more in range(len(times) + 1) if not more or not one_s))
        )


@given(COUNTS, COUNTS, TIMES, TIMES, TIMES)
def test_a_saving_is_the_difference_of_the_two_plans(
    ready: int, more: int, wait_s: float, start_s: float, each_s: float
) -> None:
    apart = answered_s([[0.0] * ready, [0.0] * more], start_s, each_s)
    together = answered_s([[0.0] * ready + [wait_s] * more], start_s, each_s)
    assert saving_s(ready, more, wait_s, start_s, each_s) == pytest.approx(apart - together, abs=1e-9)


@given(COUNTS, TIMES, TIMES, TIMES)
def test_a_lone_frame_waits_for_nothing(room: int, one_s: float, start_s: float, each_s: float) -> None:
    assert worth_waiting_s(1, 0, room, one_s=one_s, at_once=1, first_s=0, start_s=start_s, each_s=each_s) == 0


@given(COUNTS, COUNTS, COUNTS, TIMES, TIMES, TIMES)
def test_no_wait_is_longer_than_the_start_of_a_run(
    ready: int, coming: int, room: int, one_s: float, start_s: float, each_s: float
) -> None:
    assert (
        worth_waiting_s(ready, coming, room, one_s=one_s, at_once=2, first_s=0, start_s=start_s, each_s=each_s)
        <= start_s
    )


def batches(start_s: float, each_s: float, callers: int, *, waits: bool, decode_s: float = 0.001) -> list[int]:
    """Sizes of the batches of a simulated server with two decoders, whose callers send again at once."""
    ready_at = [decode_s * (index // 2 + 1) for index in range(callers)]
    now, sizes = 0.0, []
    for _ in range(60):
        ready_at.sort()
        now = max(now, ready_at[0])
        while waits:
            ready = sum(time <= now for time in ready_at)
            coming = callers - ready
            wait_s = worth_waiting_s(
                ready, coming, 32 - ready, one_s=decode_s, at_once=2, first_s=0, start_s=start_s, each_s=each_s
            )
            if not wait_s:
                break
            now = ready_at[ready]  # the next one is ready
        size = sum(time <= now for time in ready_at)
        now += start_s + size * each_s
        ready_at = ready_at[size:] + [now + decode_s * (index // 2 + 1) for index in range(size)]
        sizes.append(size)
    return sizes[20:]


def test_batches_of_a_model_that_is_slow_to_begin_stay_whole() -> None:
    alternating = batches(0.02, 0.0001, 8, waits=False)
    assert set(alternating) == {2, 6}  # who is decoded first goes at once, the others behind
    assert set(batches(0.02, 0.0001, 8, waits=True)) == {8}


def test_where_frames_cost_more_than_the_start_no_model_idles() -> None:
    assert batches(0.003, 0.005, 8, waits=True) == batches(0.003, 0.005, 8, waits=False)


def test_callers_that_come_back_at_once_are_expected() -> None:
    returns, now = Returns(), 0.0
    for _ in range(30):
        now += 0.1
        returns.answered(8, now)
        for index in range(8):
            assert not index or returns.expected(now) <= 8 - index
            returns.arrived(now + RETURN_S / 2)
    returns.answered(8, now + 1)
    assert returns.expected(now + 1) == 8
    assert returns.expected(now + 1 + 2 * RETURN_S) == 0


def test_callers_that_take_their_time_are_not() -> None:
    returns = Returns()
    for now in itertools.islice(itertools.count(), 30):
        returns.answered(8, now)
        for _ in range(8):
            returns.arrived(now + 5 * RETURN_S)
    returns.answered(8, 31)
    assert returns.expected(31) == 0
