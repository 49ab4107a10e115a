from __future__ import annotations

from collections import Counter

from cloud_server.model.trial import TURNS, quicker


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
