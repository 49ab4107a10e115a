from __future__ import annotations

import math
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_server.model.places import Overloaded, Places
from cloud_server.model.queue_time import TooLate, answer_s, refusal


@given(
    st.dictionaries(st.sampled_from("abcde"), st.integers(1, 9)),
    st.sampled_from("abcde"),
    st.integers(1, 8),
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_the_time_is_that_of_a_queue_that_is_played_out(
    waiting: dict[str, int], caller: str, batch: int, running_s: float, start_s: float, each_s: float
) -> None:
    places: Places[tuple[str, int]] = Places(1000, 1000)
    for name, count in waiting.items():
        for number in range(count):
            places.take((name, number), name, 1)
    lanes = {name: deque(range(count)) for name, count in waiting.items()}
    own = lanes.setdefault(caller, deque())
    own.append(-1)  # the new frame, whose caller is last in each round
    order = [name for name in lanes if name != caller] + [caller]
    served: list[int] = []
    while -1 not in served:
        served += [lanes[name].popleft() for name in order if lanes[name]]
    ahead = served.index(-1)
    assert places.frames_ahead(caller) == ahead
    now, left = running_s, ahead + 1
    while left:
        size = min(left, batch)
        now, left = now + start_s + each_s * size, left - size
    assert answer_s(ahead, batch, lambda size: start_s + each_s * size, running_s) == pytest.approx(now)


@given(st.floats(0, 100), st.floats(0, 100) | st.just(math.inf), st.floats(0, 100) | st.just(math.inf))
def test_a_frame_is_refused_where_its_answer_is_later_than_either_limit(
    expected_s: float, wait_s: float, max_queue_s: float
) -> None:
    assert bool(refusal(expected_s, wait_s, max_queue_s)) == (expected_s > wait_s or expected_s > max_queue_s)


def test_the_message_says_whose_limit_it_is() -> None:
    assert "its device waits for it (2 s)" in refusal(4.2, 2, 30)
    assert refusal(31, math.inf, 30).startswith("its answer would take about 31.0 s, longer than this server lets")
    assert issubclass(TooLate, Overloaded)
