from __future__ import annotations

from cloud_server.model.watch import CHECK_EVERY_S, CHECKS, IDLE_CHECK_S, ModelWatch


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_run_that_hangs_is_seen_and_forgiven_when_it_ends() -> None:
    clock = Clock()
    watch = ModelWatch(clock)
    watch.begin()
    clock.now += 20
    assert watch.is_alive
    clock.now += 1
    assert not watch.is_alive
    watch.end(answered=1, failed=0)
    assert watch.is_alive


def test_a_slow_model_may_take_longer() -> None:
    clock = Clock()
    watch = ModelWatch(clock)
    watch.warmed_up(60.0)
    watch.begin()
    clock.now += 299
    assert watch.is_alive
    clock.now += 2
    assert not watch.is_alive


def test_frames_that_fail_ask_for_a_check_and_checks_that_fail_make_it_a_broken_model() -> None:
    clock = Clock()
    watch = ModelWatch(clock)
    for _ in range(CHECKS):
        assert watch.is_alive
        clock.now += CHECK_EVERY_S
        watch.end(answered=0, failed=30)
        assert watch.wants_check
        watch.check_begins()
        assert not watch.wants_check
        watch.end(answered=0, failed=1)
        watch.check_failed()
    assert not watch.is_alive
    clock.now += CHECK_EVERY_S
    assert watch.wants_check  # it goes on asking ...
    watch.check_begins()
    watch.end(answered=1, failed=0)
    assert watch.is_alive  # ... and offers a model that works again
    assert not watch.wants_check


def test_frames_that_no_model_can_stand_are_none_of_its_fault() -> None:
    clock = Clock()
    watch = ModelWatch(clock)
    for _ in range(100):
        clock.now += CHECK_EVERY_S
        watch.end(answered=0, failed=10)
        assert watch.wants_check
        watch.check_begins()
        watch.end(answered=1, failed=0)  # the server's own picture
        assert watch.is_alive


def test_an_idle_model_is_checked_now_and_then() -> None:
    clock = Clock()
    watch = ModelWatch(clock)
    watch.end(answered=1, failed=0)
    clock.now += IDLE_CHECK_S - 1
    assert not watch.wants_check
    watch.begin()
    clock.now += 1
    assert not watch.wants_check  # it is not idle
    watch.end(answered=1, failed=0)
    clock.now += IDLE_CHECK_S
    assert watch.wants_check
    watch.check_begins()
    watch.check_failed()
    clock.now += CHECK_EVERY_S
    assert watch.wants_check  # sooner, once one has failed
