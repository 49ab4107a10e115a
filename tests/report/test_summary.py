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
from edge_sdk.types import Answer


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
