"""The table and the picture at the end of a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from rich.console import Console

from edge_sdk import Frame, Origin, Reason
from edge_sdk.budget.usage import Usage
from edge_sdk.errors import EdgeError
from edge_sdk.report.scorecard import Score
from edge_sdk.report.summary import RunHistory, draw_summary, summary_table
from edge_sdk.types import Answer, Event


def history(frames: int) -> RunHistory:
    made = RunHistory()
    image = np.zeros((8, 8, 3), np.uint8)
    for number in range(1, frames + 1):
        frame = Frame(image)
        sure = number % 3 > 0
        reason = Reason.CONFIDENT if sure else Reason.UNSURE
        answer = Answer(frame.frame_id, frame.captured_at, "", "deer", 0.5, Origin.DEVICE, sure, reason)
        made.add(frame, answer, Usage(frames=number, exits=number * 2 // 3, big_macs=10, macs_little=number))
        if number % 6 == 0:
            made.revise(replace(answer, origin=Origin.CLOUD, final=True, reason=Reason.CLOUD))
    return made


def test_a_long_run_is_thinned_evenly() -> None:
    made = history(9_000)
    numbers = np.array([account.frames for account in made.accounts])
    assert 1_000 < len(numbers) <= 2_001
    assert len(made.answers) == len(numbers)
    assert len(set(np.diff(numbers))) == 1
    made.finish(Usage(frames=9_000, answers_cloud=7))
    assert made.accounts[-1].answers_cloud == 7


@pytest.mark.parametrize("score", [None, Score(30, 0.8, 0.9, 0.95), Score(30, 0.8, 0.9, None)])
@pytest.mark.parametrize("frames", [0, 1, 40])
def test_the_picture_is_drawn_whatever_is_known(tmp_path: Path, score: Score | None, frames: int) -> None:
    made = history(frames)
    account = made.accounts[-1] if frames else Usage()
    draw_summary(tmp_path / "summary.png", made, account, score, 0.7, "a run")
    picture = cv2.imread(str(tmp_path / "summary.png"))
    assert picture is not None
    assert picture.shape[1] > 1000


def test_a_picture_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match="cannot write"):
        draw_summary(tmp_path / "no" / "summary.png", history(3), Usage(), None, 0.7, "a run")


def told(history: RunHistory, account: Usage) -> str:
    console = Console(record=True, width=160, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(summary_table(account, None, 0, "online", history))
    console.file.close()
    return console.export_text()


def visits(*lengths: int) -> RunHistory:
    """A run of visits of so many frames; the cloud answers every second one by one frame that travels."""
    made, number = RunHistory(), 0
    for place, length in enumerate(lengths):
        frames = [Frame(np.zeros((8, 8, 3), np.uint8)) for _ in range(length)]
        first = frames[0]
        whole = Event(first.frame_id, "", first.captured_at, first.captured_at, length, "deer", 0.5, first.frame_id)
        for frame in frames:
            number += 1
            answer = Answer(
                frame.frame_id, frame.captured_at, "", "deer", 0.5, Origin.DEVICE, True, Reason.CONFIDENT, event=whole
            )
            made.add(frame, answer, Usage(frames=number, events=place + 1))
        if place % 2:
            made.hear(replace(whole, origin=Origin.CLOUD, reason=Reason.CLOUD, revision=2))
    return made


def test_table_and_picture_count_the_same_frames_of_visits(tmp_path: Path) -> None:
    made = visits(3, 4, 2, 5)
    account = Usage(frames=14, events=4, events_offloaded=2, answers_cloud=2)
    assert (made.count("cloud"), made.count("device"), made.count("waits")) == (9, 5, 0)
    assert "2 to frames that stand for visits of 9 frames; 0 frames wait" in told(made, account)
    assert "2 to frames that stand for visits of 9 frames" not in told(history(30), account)  # frames one by one
    draw_summary(tmp_path / "summary.png", made, account, None, 0.7, "a run of visits")
    assert "answers from the cloud │ 0; 0 frames wait" in " ".join(told(visits(3), Usage(frames=3, events=1)).split())
    long = visits(*[5] * 900)
    assert long.count("cloud") is None  # what was thinned is not told as if it were all
    assert "visits of" not in told(long, account)
    draw_summary(tmp_path / "long.png", long, account, None, 0.7, "a long run")


def test_the_table_says_it_all() -> None:
    account = Usage(frames=30, exits=20, offloads=10, answers_cloud=8, skipped_compute=3)
    console = Console(record=True, width=120, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(summary_table(account, Score(30, 0.8, 0.9, 0.95), 2, "online"))
    text = console.export_text()
    for part in (
        "66.7% (20 exits, 10 offloads)",
        "8; 2 frames wait",
        "3 frames: the compute",
        "80.0%",
        "90.0%",
        "95.0%",
    ):
        assert part in text
    console.file.close()
