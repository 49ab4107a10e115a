from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.camera.timeline import Timeline


def test_times_start_at_the_base_and_a_quiet_gap_is_no_loss() -> None:
    line = Timeline(10, base_s=10.0)
    positions, losses = zip(*(line.add(at_s, False) for at_s in (10.0, 10.1, 11.4)), strict=True)
    assert positions == pytest.approx((0.0, 0.1, 1.4))
    assert losses == (0.0, 0.0, 0.0)


def test_a_gap_in_which_the_decoder_complained_is_a_loss() -> None:
    line = Timeline(10)
    for number in range(5):
        line.add(number / 10, False)
    assert line.add(1.0, True) == pytest.approx((1.0, 0.5))
    assert line.add(1.1, False) == (1.1, 0.0)


def test_a_damaged_start_is_a_loss() -> None:
    assert Timeline(10).add(1.2, True) == (1.2, 1.2)
    assert Timeline(10).add(0.0, True) == (0.0, 0.0)


def test_frames_without_times_go_on_at_the_usual_pace() -> None:
    line = Timeline(60)  # the header says 60; there are 30
    for number in range(20):
        line.add(number / 30, False)
    assert line.add(0.0, False)[0] == pytest.approx(20 / 30)
    assert line.add(0.0, False)[0] == pytest.approx(21 / 30)


def test_a_time_far_behind_the_end_is_damaged() -> None:
    line = Timeline(10, length_s=4.0)
    line.add(0.0, False)
    assert line.add(95_000.0, True)[0] == pytest.approx(0.1)
    assert line.add(0.2, False)[0] == pytest.approx(0.2)


def test_decoding_that_starts_again_counts_what_was_left_out() -> None:
    line = Timeline(10, reached_s=2.0)
    assert line.add(4.0, False) == pytest.approx((4.0, 1.9))


@pytest.mark.parametrize(
    ("length_s", "exact", "complained", "missing_s"),
    [
        (4.0, True, False, 3.0),
        (4.0, False, False, 0.0),  # the sound is longer
        (4.0, False, True, 3.0),
        (1.1, True, True, 0.0),
        (None, True, False, 0.0),
        (None, True, True, None),
    ],
)
def test_what_is_missing_at_the_end(
    length_s: float | None, exact: bool, complained: bool, missing_s: float | None
) -> None:
    line = Timeline(10, length_s=length_s)
    for number in range(10):
        line.add(number / 10, False)
    found = line.missing_at_end_s(exact=exact, complained=complained)
    assert found == (missing_s if missing_s is None else pytest.approx(missing_s))


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.booleans())), st.one_of(st.none(), st.floats(0.1, 1e5)))
def test_positions_grow_and_losses_are_never_negative(
    reported: list[tuple[float, bool]], length_s: float | None
) -> None:
    line = Timeline(25, length_s=length_s)
    before_s = -1.0
    for at_s, complained in reported:
        position_s, lost_s = line.add(at_s, complained)
        assert position_s >= before_s
        assert lost_s >= 0
        before_s = position_s
