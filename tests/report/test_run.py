"""The report of one run, from the first frame to table and picture."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from rich.console import Console

from edge_sdk import Blur, EdgeClassifier, Frame
from edge_sdk.pipeline.events import EventSettings
from edge_sdk.report.run import RunReport
from edge_sdk.testing import FakeRuntime, FakeTransport, write_fake_bundle

Made = Callable[..., EdgeClassifier]


@pytest.fixture
def edge_on(tmp_path: Path) -> Made:
    """A device without a network, on one state folder."""
    bundle = write_fake_bundle(tmp_path / "fake")

    def make(**options: object) -> EdgeClassifier:
        return EdgeClassifier(bundle, runtime=FakeRuntime(), state_dir=tmp_path / "state", **options)  # type: ignore[arg-type]

    return make


def frame(level: int, truth: str) -> Frame:
    return Frame(np.full((48, 64, 3), level, np.uint8), truth=truth)


def run(edge: EdgeClassifier, out: Path) -> str:
    text = io.StringIO()
    report = RunReport(edge, "a run", Console(file=text, width=120, highlight=False, soft_wrap=True))
    with report:
        for one in (frame(0, "dark"), frame(250, "bright"), frame(120, "bright")):
            report.add(one, edge.classify(one))
        report.late(edge.late_answers(wait_s=30))
    score = report.finish(out)
    assert score is not None and score.count == 3
    return text.getvalue()


def test_it_counts_one_run_and_draws_it(edge_on: Made, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason='no matplotlib: pip install ".[plots]" brings it')
    for _ in range(2):  # the second on the state of the first
        with edge_on(threshold=0.6) as edge:
            said = run(edge, tmp_path / "summary.png")
            assert edge.usage.frames == 3
        assert (tmp_path / "summary.png").read_bytes().startswith(b"\x89PNG")
        assert f"picture: {tmp_path / 'summary.png'}" in said
    assert edge.lifetime_usage.frames == 6


def test_nothing_is_shown_or_asked_about_that_is_to_be_blurred(edge_on: Made, tmp_path: Path) -> None:
    noise = Frame(np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8), truth="dark")
    for blur, few in ((None, False), (Blur(("dark", "bright"), above=0.9), True)):
        with edge_on(threshold=0.0, blur=blur) as edge:
            report = RunReport(edge, "a run", Console(file=io.StringIO()))
            with patch.object(report._scorecard, "add") as judged, patch.object(report._sheet, "see") as seen:
                report.add(noise, edge.classify(noise))
            for call in (judged, seen):
                shown = call.call_args.args[0].image
                assert (len(np.unique(shown.reshape(-1, 3), axis=0)) <= 36) == few
            other = edge.blurred(frame(3, "dark"))
            assert (len(np.unique(edge.blurred(Frame(noise.image)).image.reshape(-1, 3), axis=0)) <= 36) == few
            assert other.image.shape == (48, 64, 3)


def test_late_answers_revise_the_score(edge_on: Made, tmp_path: Path) -> None:
    transport = FakeTransport(("bright", "dark"))  # names the first, always
    with edge_on(threshold=1.01, cloud="127.0.0.1:9", transport=transport) as edge:
        said = run(edge, tmp_path / "no such folder" / "summary.png")
        assert edge.usage.answers_cloud == 3
    assert "66.7%" in said


def test_events_that_are_answered_as_a_whole_are_judged_and_shown(edge_on: Made, tmp_path: Path) -> None:
    text = io.StringIO()
    frames = [frame(250, "bright"), frame(240, "bright"), frame(245, "dark")]
    with edge_on(threshold=0.0, events=EventSettings(answer_per="event")) as edge:
        report = RunReport(edge, "a run", Console(file=text, width=120, highlight=False, soft_wrap=True))
        with report:
            for one, answer in edge.watch(frames):
                report.add(one, answer)
            report.events(edge.events())
        score = report.finish(tmp_path / "summary.png")
    assert score is not None and (score.count, score.unit, score.device) == (1, "events", 1.0)
    assert "accuracy, device alone" in text.getvalue() and "1 events with known truth" in text.getvalue()
    assert f"events: {tmp_path / 'events.html'}" in text.getvalue()
    assert "3 frames" in (tmp_path / "events.html").read_text()
