"""Deliveries in order, and waits that grow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alert_parts import alert

from edge_sdk.alerts.alert import Alert
from edge_sdk.alerts.channel import Fate, Outcome, Status
from edge_sdk.alerts.outbox import Outbox
from edge_sdk.alerts.sender import Sender
from edge_sdk.errors import StorageError
from edge_sdk.testing import FakeChannel, FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def outbox(tmp_path: Path, clock: FakeClock) -> Iterator[Outbox]:
    with closing(Outbox(tmp_path / "alerts.db", clock=clock)) as box:
        yield box


def sender(channel: FakeChannel, outbox: Outbox, clock: FakeClock) -> Sender:
    return Sender(channel, outbox, clock=clock, chance=lambda: 1.0)


def put(outbox: Outbox, *texts: str) -> None:
    for text in texts:
        outbox.put(alert(text), ["fake"])


def test_what_waits_is_delivered_in_order(outbox: Outbox, clock: FakeClock) -> None:
    channel = FakeChannel()
    put(outbox, "one", "two")
    steps = sender(channel, outbox, clock)
    assert [steps.step() for _ in range(3)] == [0.0, 0.0, 60.0]
    assert [one.text for one in channel.delivered] == ["one", "two"]
    assert outbox.count() == 0


def test_waits_double_up_to_a_quarter_of_an_hour_and_begin_anew_after_a_delivery(
    outbox: Outbox, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    channel = FakeChannel([Fate.LATER] * 12)
    put(outbox, "one")
    steps, waits = sender(channel, outbox, clock), []
    for _ in range(12):
        waits.append(steps.step())
        clock.pass_s(waits[-1])
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]
    assert caplog.text.count("alerts wait") == 1
    put(outbox, "two")
    assert steps.step() == 0
    channel._fates = [Fate.LATER]
    assert steps.step() == 1


def test_before_the_time_nothing_is_tried(outbox: Outbox, clock: FakeClock) -> None:
    channel = FakeChannel([Fate.LATER])
    put(outbox, "one", "two")
    steps = sender(channel, outbox, clock)
    assert steps.step() == 1
    clock.pass_s(0.75)
    assert steps.step() == 0.25
    assert len(channel.tried) == 1
    clock.pass_s(0.25)
    assert steps.step() == 0
    assert [one.text for one in channel.delivered] == ["two"]  # the one that failed does not hold up the others


def test_the_other_side_may_ask_for_more_time_within_bounds(outbox: Outbox, clock: FakeClock) -> None:
    put(outbox, "one", "two")
    channel = FakeChannel([Outcome(Fate.LATER, "busy", 30.0), Outcome(Fate.LATER, "busy", 1e9)])
    steps = sender(channel, outbox, clock)
    assert steps.step() == 30
    clock.pass_s(30)
    assert steps.step() == 3600


def test_one_that_is_refused_for_good_is_not_tried_again(outbox: Outbox, clock: FakeClock) -> None:
    channel = FakeChannel([Outcome(Fate.REFUSED, "400 no\x1b[31m such\nthing")])
    put(outbox, "one", "two")
    steps = sender(channel, outbox, clock)
    assert steps.step() == 0
    assert steps.said == r"400 no\x1b[31m such\nthing"
    assert steps.step() == 0
    assert [one.text for one in channel.delivered] == ["two"]


def test_one_that_was_delivered_is_not_sent_again_while_the_disk_is_full(
    outbox: Outbox, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = FakeChannel()
    put(outbox, "one")
    steps = sender(channel, outbox, clock)

    def fail(number: int) -> None:
        raise StorageError("the disk is full")

    with monkeypatch.context() as full:
        full.setattr(outbox, "done", fail)
        for _ in range(2):
            with pytest.raises(StorageError):
                steps.step()
    assert steps.step() == 0
    assert (len(channel.delivered), outbox.count()) == (1, 0)


def test_a_status_is_shown_when_it_changes_and_once_a_minute(outbox: Outbox, clock: FakeClock) -> None:
    channel = FakeChannel()
    steps = sender(channel, outbox, clock)
    for status in (Status("online"), Status("online"), Status("offline")):
        steps.show(status)
        steps.step()
    assert [one.link for one in channel.shown] == ["online", "offline"]
    clock.pass_s(60)
    steps.step()
    steps.step()
    assert [one.link for one in channel.shown] == ["online", "offline", "offline"]


def test_a_channel_that_raises_is_tried_again_by_its_thread(
    outbox: Outbox, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(FakeChannel):
        def deliver(self, alert: Alert) -> Outcome:
            if not self.tried:
                self.tried.append(alert)
                thread.wake()  # else it rests a minute
                raise ZeroDivisionError
            return super().deliver(alert)

    channel = Broken()
    put(outbox, "one")
    thread = sender(channel, outbox, clock)
    thread.start()
    assert channel.wait(1)
    thread.end()
    assert thread.join(10)
    assert "it is tried again" in caplog.text
