from __future__ import annotations

import threading

from cloud_server.fleet.turn import turn


def test_who_comes_while_another_has_the_turn_goes_on_without_it() -> None:
    guard = threading.Lock()
    with turn(guard) as first, turn(guard, 0) as second:
        assert (first, second) == (True, False)
    with turn(guard, 0) as third:
        assert third
