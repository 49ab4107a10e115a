from __future__ import annotations

import pytest

from cloud_server.model.places import Overloaded, Places


def test_there_is_room_for_everyone_until_all_places_are_taken() -> None:
    places: Places[str] = Places(3, 100)
    for item in ("a1", "a2", "a3"):
        assert places.take(item, "a", 10) == []
    assert (len(places), places.bytes) == (3, 30)
    with pytest.raises(Overloaded, match="3 frames wait"):
        places.take("a4", "a", 10)
    places.leave("a2")
    places.leave("a2")  # without a place: nothing happens
    assert places.take("a4", "a", 10) == []


def test_the_latest_of_the_greediest_gives_way() -> None:
    places: Places[str] = Places(4, 100)
    for item in ("a1", "a2", "a3", "b1"):
        places.take(item, item[0], 1)
    assert places.take("c1", "c", 1) == ["a3"]
    with pytest.raises(Overloaded):
        places.take("b2", "b", 1)  # as many as the greediest has
    assert places.take("d1", "d", 1) == ["a2"]
    with pytest.raises(Overloaded):
        places.take("e1", "e", 1)


def test_bytes_are_shared_as_places_are() -> None:
    places: Places[str] = Places(100, 100)
    for number in range(9):
        places.take(f"a{number}", "a", 11)
    assert places.take("b1", "b", 30) == ["a8", "a7", "a6"]
    assert places.bytes == 96
    with pytest.raises(Overloaded):
        places.take("b2", "b", 40)
    assert places.bytes == 96
    assert places.take("b3", "b", 4) == []


def test_one_alone_may_be_larger_than_all() -> None:
    places: Places[str] = Places(4, 100)
    assert places.take("a1", "a", 1000) == []
    assert places.take("b1", "b", 1) == ["a1"]
