"""The latest picture: nothing is done unless somebody looks, and the slow hold up nobody."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from event_parts import NOTHING, SURE, classifier
from event_parts import frame as event_frame

from edge_sdk import Blur, StorageSettings
from edge_sdk.errors import CameraError
from edge_sdk.images.read import decode_image
from edge_sdk.preview.live import Live
from edge_sdk.preview.settings import PreviewSettings
from edge_sdk.testing import FakeClock
from edge_sdk.types import Answer, Frame, Origin, Reason, Region

SETTINGS = PreviewSettings(fps=5.0, side=160, viewers=2)


def frame(level: int = 90) -> Frame:
    return Frame(np.full((96, 128, 3), level, np.uint8))


def answer(of: Frame) -> Answer:
    return Answer(of.frame_id, of.captured_at, "", "deer", 0.97, Origin.DEVICE, True, Reason.CONFIDENT)


def level(jpeg: bytes) -> int:
    return round(float(decode_image(jpeg).image[40:, :].mean()))


class Loop:
    """A frame loop that is driven by hand."""

    def __init__(self, live: Live, clock: FakeClock) -> None:
        self.live, self.clock = live, clock

    def step(self, one: Frame, *, answered: bool = False, after_s: float = 1.0) -> None:
        """The loop takes a frame, and asks for another."""
        self.clock.pass_s(after_s)
        for got in self.live.over([one]):
            if answered:
                self.live.answered(got, answer(got))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def test_nothing_is_asked_unless_somebody_looks(clock: FakeClock) -> None:
    asked: list[Frame] = []
    live = Live(lambda one: asked.append(one) or one, SETTINGS, clock=clock.steady_s)  # type: ignore[func-returns-value]
    loop = Loop(live, clock)
    loop.step(frame())
    assert asked == [] and live.silent_s is not None
    with live.viewing():
        loop.step(frame())
        assert len(asked) == 1
    loop.step(frame())
    assert len(asked) == 1


def test_a_viewer_gets_the_latest_and_misses_what_was_between(clock: FakeClock) -> None:
    live = Live(lambda one: one, SETTINGS, clock=clock.steady_s)
    loop = Loop(live, clock)
    with live.viewing() as pictures:
        assert pictures is not None
        loop.step(frame(60))
        assert level(next(pictures)) == 60
        for value in (80, 100, 120):
            loop.step(frame(value))
        assert level(next(pictures)) == 120


def test_at_most_so_many_a_second(clock: FakeClock) -> None:
    asked: list[Frame] = []
    live = Live(lambda one: asked.append(one) or one, SETTINGS, clock=clock.steady_s)  # type: ignore[func-returns-value]
    loop = Loop(live, clock)
    with live.viewing():
        for _ in range(100):
            loop.step(frame(), after_s=0.05)
    assert 20 <= len(asked) <= 25


def test_region_and_answer_are_drawn_and_handed_on(clock: FakeClock) -> None:
    said: list[tuple[Answer, bytes]] = []
    live = Live(lambda one: one, SETTINGS, on_drawn=lambda *one: said.append(one), clock=clock.steady_s)
    loop = Loop(live, clock)
    with live.viewing() as pictures:
        assert pictures is not None
        one = Frame(np.full((96, 128, 3), 90, np.uint8), regions=(Region(10, 40, 50, 40, 1.0),))
        loop.step(one, answered=True)
        jpeg = next(pictures)
    assert said[0][0].label == "deer" and said[0][1] == jpeg
    assert np.ptp(decode_image(jpeg).image[42:, :, 0]) > 80
    assert live.answer is not None


def test_what_may_not_be_shown_is_a_notice(clock: FakeClock) -> None:
    said: list[object] = []
    live = Live(lambda one: None, SETTINGS, on_drawn=lambda *one: said.append(one), clock=clock.steady_s)
    loop = Loop(live, clock)
    with live.viewing() as pictures:
        assert pictures is not None
        loop.step(frame(200), answered=True)
        shown = decode_image(next(pictures)).image
    assert np.median(shown) < 60 and said == []


def test_with_a_privacy_rule_frames_without_an_answer_are_passed_over(clock: FakeClock) -> None:
    live = Live(lambda one: one, SETTINGS, needs_answer=lambda: True, clock=clock.steady_s)
    loop = Loop(live, clock)
    with live.viewing() as pictures:
        assert pictures is not None
        loop.step(frame(60), answered=True)
        loop.step(frame(200))
        assert level(next(pictures)) == 60


def test_a_frame_that_cannot_be_read_stops_nothing(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    def fail(one: Frame) -> Frame:
        raise CameraError("gone")

    live = Live(fail, SETTINGS, clock=clock.steady_s)
    loop = Loop(live, clock)
    with live.viewing():
        loop.step(frame())
    assert "the device goes on" in caplog.text


def test_no_more_viewers_than_may(clock: FakeClock) -> None:
    live = Live(lambda one: one, SETTINGS, clock=clock.steady_s)
    with live.viewing("a") as first, live.viewing("b") as second:
        assert first is not None and second is not None
        assert live.is_seen_by("a") and live.is_seen_by("b") and not live.is_seen_by("c")
        with live.viewing() as third:
            assert third is None
        assert live.viewers == 2
    assert live.viewers == 0 and not live.is_seen_by("a")


def test_close_lets_a_waiting_viewer_go(clock: FakeClock) -> None:
    live = Live(lambda one: one, SETTINGS, clock=clock.steady_s)
    Loop(live, clock).step(frame())
    with live.viewing() as pictures:
        assert pictures is not None
        got: list[bytes] = []
        thread = threading.Thread(target=lambda: got.extend(pictures))
        thread.start()
        live.close()
        thread.join(30)
        assert not thread.is_alive()
    with live.viewing() as after:
        assert after is None


def test_what_people_may_see_goes_by_the_rules_for_the_disk(tmp_path: Path) -> None:
    with classifier(tmp_path / "free") as edge:
        one = event_frame(NOTHING)
        assert edge.shown(one) is one and not edge.hides and edge.archive_rule is None
    with classifier(tmp_path / "never", storage=StorageSettings(archive="1MB, never: deer")) as edge:
        seen, deer, unseen = event_frame(NOTHING), event_frame(SURE, 1), event_frame(NOTHING, 2)
        edge.classify(seen)
        assert edge.hides and edge.shown(seen) is seen and edge.shown(unseen) is None
        edge.classify(deer)
        assert edge.shown(deer) is None and edge.shown(seen) is None
        edge.reconfigure(archive="1MB")
        assert not edge.hides and edge.shown(deer) is deer
    with classifier(tmp_path / "blur", blur=Blur(("deer",))) as edge:
        seen, deer = event_frame(NOTHING), event_frame(SURE, 1)
        edge.classify(seen)
        assert edge.hides and edge.shown(seen) is seen
        edge.classify(deer)
        shown = edge.shown(deer)
        assert shown is not None and shown is not deer
        assert edge.shown(seen) is None
