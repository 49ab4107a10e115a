from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from cloud_server.model.fair_queue import FairQueue

CALLERS = st.sampled_from("abcd")


def all_of(queue: FairQueue[str]) -> list[str]:
    return list(iter(queue.take, None))


def test_callers_take_turns_and_each_keeps_its_order() -> None:
    queue: FairQueue[str] = FairQueue()
    for item in ("a1", "a2", "a3", "b1", "c1", "c2"):
        queue.add(item[0], item)
    assert len(queue) == 6
    assert all_of(queue) == ["a1", "b1", "c1", "a2", "c2", "a3"]
    assert queue.take() is None


def test_dear_items_wait_until_their_caller_has_saved_for_them() -> None:
    queue: FairQueue[str] = FairQueue(quantum=10)
    for item in ("A", "A"):
        queue.add("dear", item, cost=30)
    for item in "123456":
        queue.add("cheap", item, cost=10)
    assert all_of(queue) == ["1", "2", "A", "3", "4", "5", "A", "6"]


def test_what_is_taken_out_is_not_handed_out_and_a_new_turn_begins_without_credit() -> None:
    queue: FairQueue[str] = FairQueue(quantum=10)
    queue.add("a", "a1", cost=25)
    assert not queue.remove("a", "other")
    assert not queue.remove("nobody", "a1")
    queue.add("a", "a2")
    assert queue.remove("a", "a1")
    assert queue.remove("a", "a2")
    assert (len(queue), queue.take()) == (0, None)
    queue.add("b", "b1", cost=1)
    assert queue.take() == "b1"


@given(st.lists(st.tuples(CALLERS, st.integers(1, 40)), max_size=60), st.integers(5, 40))
def test_no_caller_that_always_waits_gets_more_than_its_part(items: list[tuple[str, int]], quantum: int) -> None:
    """Theorem 4.2 of the paper: the work of two callers that never run empty differs by under quantum + 2 maxima."""
    queue: FairQueue[tuple[str, int]] = FairQueue(quantum)
    left = Counter(caller for caller, _ in items)
    for caller, cost in items:
        queue.add(caller, (caller, cost), cost)
    done: Counter[str] = Counter()
    while (item := queue.take()) is not None and all(left.values()):
        done[item[0]] += item[1]
        left[item[0]] -= 1
        served = [done[caller] for caller in left]
        assert max(served) - min(served) <= quantum + 2 * 40
