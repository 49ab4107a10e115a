from __future__ import annotations

from collections import Counter

from gated_model import GatedModel

from cloud_server.model.trial import TURNS, least_s, quicker, use_quicker_alone


def test_the_way_that_is_mostly_quicker_is_taken_whatever_one_turn_says() -> None:
    now, ran = [0.0], Counter[str]()

    def run(way: str) -> None:
        ran[way] += 1
        first, once_slow = ran[way] == 1, ran[way] == 3
        now[0] += {"slow": 2.0, "quick": 1.0}[way] + 100 * (first and way == "quick") + 100 * once_slow

    assert quicker(("slow", "quick"), run, lambda: now[0]) == "quick"
    assert set(ran.values()) == {TURNS + 1}


def test_of_equal_ways_the_first_is_taken() -> None:
    assert quicker((3, 1), lambda way: None, lambda: 0.0) == 3


def test_the_quickest_run_counts_and_the_first_does_not() -> None:
    now, left = [0.0], [1.0, 9.0, 3.0, 5.0, 2.0]

    def run() -> None:
        now[0] += left.pop(0)

    assert least_s(run, 0.0, lambda: now[0]) == 3.0 and left == [5.0, 2.0]
    left[:] = [1.0, 9.0, 3.0, 5.0, 2.0]
    assert least_s(run, 15.0, lambda: now[0]) == 3.0 and left == [2.0]


def test_the_quicker_way_to_run_a_picture_alone_is_in_use_afterwards() -> None:
    model, used = GatedModel(), list[str]()
    use_quicker_alone(model, ("all", "one"), used.append)
    assert len(model.batches) == 2 * (TURNS + 1) and {len(batch) for batch in model.batches} == {1}
    assert len(used) == 2 * (TURNS + 1) + 1 and used[:2] == ["all", "one"]
