"""What becomes of frames that fail, on a clock that stands still until a test moves it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from link_parts import item

from edge_sdk.config import UplinkSettings
from edge_sdk.link.retries import Cause, Retries
from edge_sdk.store.store import Store
from edge_sdk.testing.clock import FakeClock

SETTINGS = UplinkSettings(backoff_s=1, max_backoff_s=10, max_tries=4)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path) as opened:
        yield opened


def put(store: Store, gain: float = 0.5) -> str:
    frame = item(gain)
    store.spool.put(frame)
    return frame.frame_id


def test_a_frame_rests_longer_after_each_failure_and_steps_back(store: Store) -> None:
    clock = FakeClock()
    retries = Retries(store.spool, SETTINGS, clock.steady_s)
    bad, good = put(store, 0.9), put(store, 0.1)
    rests = []
    for _ in range(3):
        assert retries.failed(bad, "no", Cause.FRAME) is None
        assert retries.rests().keys() == {bad}
        rests.append(retries.rests()[bad])
        clock.pass_s(rests[-1])
        assert retries.rests() == {}
    assert rests == [4, 16, 64]
    assert store.spool.ids() == (good, bad)


@pytest.mark.parametrize("answers_between", [0, 1, 3])
def test_a_frame_that_the_server_names_is_sent_as_often_as_the_setting_says(store: Store, answers_between: int) -> None:
    """Good frames among the failures reset nothing."""
    retries = Retries(store.spool, SETTINGS)
    bad = put(store)
    for _ in range(3):
        assert retries.failed(bad, "not finite", Cause.FRAME) is None
        for _ in range(answers_between):
            retries.answered(put(store))
    said = retries.failed(bad, "not finite", Cause.FRAME)
    assert said is not None
    assert "sent 4 times" in said
    assert "not finite" in said


def test_a_frame_that_ends_the_connection_among_answers_is_given_up_after_as_many(store: Store) -> None:
    retries = Retries(store.spool, SETTINGS)
    bad, tries = put(store), 0
    while True:
        retries.opened()
        tries += 1
        if retries.failed(bad, "reset", Cause.CONNECTION) is not None:
            break
        retries.answered(put(store))
    assert tries == 4


@pytest.mark.parametrize("cause", [Cause.CONNECTION, Cause.BUSY])
def test_an_outage_costs_a_quarter_of_a_try_and_ends_all_the_same(store: Store, cause: Cause) -> None:
    retries = Retries(store.spool, SETTINGS)
    bad, tries = put(store), 1
    while retries.failed(bad, "no reply", cause) is None:
        tries += 1
    assert tries == 13


def test_a_busy_server_that_answers_others_blames_no_frame(store: Store) -> None:
    retries = Retries(store.spool, SETTINGS)
    late = put(store)
    for _ in range(8):
        assert retries.failed(late, "the queue is full", Cause.BUSY) is None
        retries.answered(put(store))


def test_a_restart_forgets_no_try(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        bad = put(store)
        assert Retries(store.spool, SETTINGS).failed(bad, "no", Cause.FRAME) is None
    for _ in range(2):
        with Store(tmp_path) as store:
            retries = Retries(store.spool, SETTINGS)
            assert retries.probing, "a device that starts among failures sends one frame first"
            assert retries.tried(bad)
            assert retries.failed(bad, "no", Cause.FRAME) is None
    with Store(tmp_path) as store:
        assert Retries(store.spool, SETTINGS).failed(bad, "no", Cause.FRAME) is not None


def test_one_answer_restores_the_trust_that_a_failure_took(store: Store) -> None:
    retries = Retries(store.spool, SETTINGS)
    assert not retries.probing
    retries.failed(put(store), "no", Cause.CONNECTION)
    assert retries.probing
    retries.answered(put(store))
    assert not retries.probing


def test_all_frames_are_held_back_longer_with_each_failure_in_a_row(store: Store) -> None:
    clock = FakeClock()
    retries = Retries(store.spool, SETTINGS, clock.steady_s)
    assert [retries.hold_all() for _ in range(5)] == [2, 4, 8, 10, 10]
    assert retries.pause_s == 10
    retries.answered(put(store))
    assert retries.hold_all() == 2


def test_a_frame_that_has_left_rests_no_more(store: Store) -> None:
    retries = Retries(store.spool, SETTINGS)
    bad = put(store)
    retries.failed(bad, "no", Cause.FRAME)
    store.spool.ack(bad)
    assert retries.rests() == {}
