from __future__ import annotations

import pytest

from edge_sdk.durable.clock import (
    RELEASED_S,
    ClockMark,
    ElapsedClock,
    current_boot_id,
    off_s,
    steady_s,
    unset_clock_note,
)


class Time:
    """A wall clock and a steady clock under the test's hand."""

    def __init__(self, wall_s: float = 1_800_000_000.0, steady_s: float = 50.0) -> None:
        self.wall_s = wall_s
        self.steady_s = steady_s

    def pass_s(self, seconds: float) -> None:
        self.wall_s += seconds
        self.steady_s += seconds

    def clock(self, mark: ClockMark | None = None, boot_id: str = "boot") -> ElapsedClock:
        return ElapsedClock(mark, wall=lambda: self.wall_s, steady=lambda: self.steady_s, boot_id=boot_id)


def test_within_a_process_only_the_steady_clock_counts() -> None:
    time = Time()
    clock = time.clock()
    assert clock.now_ns() == 0
    time.pass_s(3.0)
    time.wall_s += 365 * 86_400.0
    assert clock.now_ns() == 3 * 10**9
    time.wall_s -= 2 * 365 * 86_400.0
    time.pass_s(1.0)
    assert clock.now_ns() == 4 * 10**9


def test_a_steady_clock_that_steps_back_stops_it() -> None:
    time = Time()
    clock = time.clock()
    time.pass_s(5.0)
    assert clock.now_ns() == 5 * 10**9
    time.steady_s -= 2.0
    assert clock.now_ns() == 5 * 10**9


def test_a_restart_within_a_boot_goes_by_the_steady_clock() -> None:
    time = Time()
    mark = time.clock().mark()
    time.pass_s(7.0)
    time.wall_s += 10**6
    assert time.clock(mark).now_ns() == 7 * 10**9


def test_a_reboot_goes_by_the_wall_clock() -> None:
    time = Time()
    clock = time.clock()
    time.pass_s(2.0)
    mark = clock.mark()
    time.pass_s(60.0)
    time.steady_s = 1.0
    assert time.clock(mark, "next boot").now_ns() == 62 * 10**9


def test_a_wall_clock_set_back_over_a_reboot_counts_as_no_time() -> None:
    time = Time()
    mark = time.clock().mark()
    time.wall_s -= 365 * 86_400.0
    time.steady_s = 1.0
    clock = time.clock(mark, "next boot")
    assert clock.now_ns() == 0
    time.pass_s(4.0)
    assert clock.now_ns() == 4 * 10**9


NOW, IN_1970, IN_2099 = 1_800_000_000.0, 40.0, 4_070_908_800.0


@pytest.mark.parametrize(
    ("before", "after", "passed_s"),
    [
        (IN_1970, NOW, 0),
        (NOW, IN_1970, 0),
        (IN_2099, NOW, 0),
        (NOW, IN_2099, 0),
        (IN_1970, IN_1970 + 60, 0),
        (IN_1970, IN_2099, 0),
        (RELEASED_S - 1, RELEASED_S + 60, 0),
        (NOW, NOW + 200 * 86_400, 200 * 86_400),
        (NOW, NOW + 401 * 86_400, 0),
        (IN_2099, IN_2099 + 60, 60),
        (float("nan"), NOW, 0),
        (float("inf"), NOW, 0),
        (-1e300, 1e300, 0),
    ],
)
def test_a_wall_clock_that_cannot_be_right_counts_as_no_time_off(before: float, after: float, passed_s: float) -> None:
    assert off_s(before, after) == passed_s
    time = Time(before)
    mark = time.clock().mark()
    time.wall_s, time.steady_s = after, 1.0
    clock = time.clock(mark, "next boot")
    assert clock.now_ns() == passed_s * 10**9
    time.pass_s(4.0)
    assert clock.now_ns() == (passed_s + 4) * 10**9


def test_a_clock_that_is_set_while_the_device_is_up_changes_nothing_then_or_at_the_next_boot() -> None:
    """1970 at the start, set by the network, off for an hour: an hour and the time up have passed."""
    time = Time(IN_1970)
    clock = time.clock()
    time.pass_s(10)
    time.wall_s = NOW
    time.pass_s(5)
    mark = clock.mark()
    assert mark.elapsed_ns == 15 * 10**9
    time.wall_s, time.steady_s = NOW + 5 + 3600, 1.0
    assert time.clock(mark, "next boot").now_ns() == 3615 * 10**9


def test_unknown_boots_are_not_the_same_boot() -> None:
    time = Time()
    mark = time.clock(boot_id="").mark()
    time.pass_s(9.0)
    time.steady_s = 1.0
    assert time.clock(mark, boot_id="").now_ns() == 9 * 10**9


def test_the_system_s_clocks() -> None:
    assert steady_s() <= steady_s()
    assert current_boot_id() == current_boot_id()


@pytest.mark.parametrize(
    ("captured_s", "wall_s", "said"),
    [(40.0, 41.0, True), (1_700_000_000.0, 41.0, False), (RELEASED_S + 9, RELEASED_S + 10, False)],
)
def test_a_time_by_a_clock_that_was_not_set_is_known_to_be_wrong(captured_s: float, wall_s: float, said: bool) -> None:
    assert bool(unset_clock_note(captured_s, wall_s)) is said
