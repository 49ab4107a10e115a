"""The order of the frames that wait, against a plain list."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.store.order import Order, Place

places = st.lists(
    st.builds(
        Place,
        st.text("abcdefgh", min_size=1, max_size=3),
        st.sampled_from([-1.0, 0.0, 0.25, 0.5, 3.0]),
        st.integers(0, 5),
        st.integers(1, 50),
    ),
    unique_by=lambda place: place.frame_id,
    max_size=12,
)


def turns(waiting: list[Place]) -> list[Place]:
    return sorted(waiting, key=lambda place: (-place.rank, place.handled_ns, place.frame_id))


def filled(waiting: list[Place]) -> Order:
    order = Order()
    for place in waiting:
        order.add(place)
    return order


@given(places, st.sets(st.text("abcdefgh", min_size=1, max_size=1)))
def test_the_highest_rank_is_first_and_of_equals_the_oldest(waiting: list[Place], exclude: set[str]) -> None:
    order = filled(waiting)
    ids = [place.frame_id for place in turns(waiting)]
    assert list(order) == ids and len(order) == len(ids)
    assert order.first(exclude) == next((one for one in ids if one not in exclude), None)
    assert order.bytes == sum(place.bytes for place in waiting)


@given(places, st.data())
def test_what_is_taken_out_is_gone(waiting: list[Place], data: st.DataObject) -> None:
    order = filled(waiting)
    gone = data.draw(st.lists(st.sampled_from(waiting), unique=True) if waiting else st.just([]))
    for place in gone:
        assert order.pop(place.frame_id) == place and place.frame_id not in order
        assert order.pop(place.frame_id) is None
    rest = [place for place in waiting if place not in gone]
    assert list(order) == [place.frame_id for place in turns(rest)]
    assert order.bytes == sum(place.bytes for place in rest)


@given(places, st.integers(1, 200))
def test_victims_are_the_lowest_ranks_and_no_more_than_needed(waiting: list[Place], max_bytes: int) -> None:
    if not waiting:
        return
    new, order = waiting[0], filled(waiting[1:])
    victims = order.victims(new, max_bytes)
    ranked = turns(waiting)
    excess = sum(place.bytes for place in waiting) - max_bytes
    if new.bytes > max_bytes:
        assert victims == [new.frame_id]
        return
    expected: list[str] = []
    while excess > 0:
        last = ranked.pop()
        if last is new:
            expected = [new.frame_id]
            break
        expected.append(last.frame_id)
        excess -= last.bytes
    assert victims == expected


@given(places, st.integers(0, 6), st.sets(st.text("abcdefgh", min_size=1, max_size=1)))
def test_old_frames_are_found(waiting: list[Place], oldest_ns: int, exclude: set[str]) -> None:
    found = filled(waiting).handled_before(oldest_ns, exclude)
    assert set(found) == {one.frame_id for one in waiting if one.handled_ns < oldest_ns} - exclude


def test_tries_are_known_while_a_frame_waits() -> None:
    order = filled([Place("a", 1.0, 0, 5, 1.25), Place("b", 1.0, 0, 5)])
    assert (order.tries("a"), order.tries("b"), order.tries("c"), order.any_tried) == (1.25, 0.0, 0.0, True)
    order.pop("a")
    assert (order.tries("a"), order.any_tried) == (0.0, False)
