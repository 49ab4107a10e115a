from __future__ import annotations

from cloud_server.model.watch import ModelWatch


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


def test_a_model_that_fails_on_every_frame_is_seen() -> None:
    clock = Clock()
    watch = ModelWatch(clock)
    for _ in range(30):  # one burst of bad frames
        watch.end(answered=0, failed=1)
    assert watch.is_alive
    clock.now += 10
    watch.end(answered=0, failed=1)
    assert not watch.is_alive
    clock.now += 61
    assert watch.is_alive  # it is offered again ...
    watch.end(answered=0, failed=1)
    assert not watch.is_alive  # ... and still broken
    watch.end(answered=1, failed=7)
    assert watch.is_alive


def test_a_few_bad_frames_among_good_ones_are_none_of_its_fault() -> None:
    clock = Clock()
    watch = ModelWatch(clock)
    for _ in range(100):
        clock.now += 5
        watch.end(answered=0, failed=10)
        watch.end(answered=1, failed=0)
        assert watch.is_alive
