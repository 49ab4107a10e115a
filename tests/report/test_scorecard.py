"""Accuracy of device, cascade and cloud where the truth is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from edge_sdk import Frame, Origin, Reason, open_bundle
from edge_sdk.model.taxonomy import Taxonomy
from edge_sdk.report.scorecard import Score, Scorecard
from edge_sdk.testing.server import ScriptedServer, answer
from edge_sdk.types import Answer

BUNDLE = open_bundle("trailcam")


def frame(truth: str | None) -> Frame:
    return Frame(np.zeros((48, 64, 3), np.uint8), truth=truth)


def said(frame: Frame, label: str, final: bool = True) -> Answer:
    return Answer(frame.frame_id, frame.captured_at, "", label, 0.9, Origin.DEVICE, final, Reason.CONFIDENT)


def test_the_three_accuracies() -> None:
    card = Scorecard(BUNDLE)
    assert card.score() is None
    right, wrong, mended, unknown = frame("deer"), frame("deer"), frame("fox"), frame(None)
    for one, label in ((right, "deer"), (wrong, "fox"), (mended, "deer"), (unknown, "deer")):
        card.add(one, said(one, label, final=one is not mended))
    card.revise(replace(said(mended, "fox"), origin=Origin.CLOUD))
    assert card.score() == Score(3, 1 / 3, 2 / 3, None)
    with ScriptedServer(lambda request, _: answer(request, "deer")) as server:
        card.ask_cloud(server.target)
    assert card.score() == Score(3, 1 / 3, 2 / 3, 1.0)


def test_without_a_known_truth_nothing_is_asked_and_no_bar_is_shown() -> None:
    card = Scorecard(BUNDLE)
    card.add(frame(None), said(frame(None), "deer"))

    def progress(ids: list[str]) -> Iterator[str]:
        raise AssertionError("a bar of nothing")

    card.ask_cloud("127.0.0.1:9", progress)


def test_a_long_run_keeps_a_uniform_sample() -> None:
    card = Scorecard(BUNDLE, max_frames=50)
    for number in range(400):
        one = frame("deer")
        card.add(one, said(one, "deer" if number < 200 else "fox"))
    score = card.score()
    assert score is not None
    assert score.count == 50
    assert 0.25 < score.device < 0.75


def test_a_group_that_holds_the_true_class_is_right() -> None:
    tree = Taxonomy(classes={"deer": ("hoofed",), "boar": ("hoofed",), "fox": ("canid",)})
    card = Scorecard(replace(BUNDLE, taxonomy=tree))
    for label in ("hoofed", "canid", "unknown", "deer"):
        one = frame("deer")
        card.add(one, said(one, label))
    assert card.score() == Score(4, 0.5, 0.5, None)
