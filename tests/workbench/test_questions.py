"""Questions to a person as a CSV, and the answers."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.questions import COLUMNS, ELSEWHERE, Questions, answered, read_answers, write_questions
from edge_sdk.workbench.records import UNKNOWN, Records, RecordsInfo, from_logits

LABELS = ("fox", "bird, small")


def some(model: str = "m", sources: list[str] | None = None) -> Records:
    logits = np.array([[1, 0], [0, 1], [2, 0]], np.float32) * (1 if model == "m" else -1)
    return from_logits(
        RecordsInfo(model=model, labels=LABELS), ["p/0", "p/1", "p/2"], [UNKNOWN, 1, UNKNOWN], logits, sources=sources
    )


def test_questions_go_out_and_come_back(tmp_path: Path) -> None:
    little, big = some(sources=["/x/0.jpg", "/x/1.jpg", "/x/2.jpg"]), some("big")
    path = tmp_path / "ask.csv"
    write_questions(path, Questions(np.array([2, 0]), np.array([0.3, 1.0]), np.array([0.7, 0.7, 0.9])), little, big)
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert tuple(rows[0]) == COLUMNS
    assert rows[0] == {
        "id": "p/2",
        "path": "/x/2.jpg",
        "little": "fox",
        "big": "bird, small",
        "confidence": "0.900000",
        "exits": "0.3000",
        "answer": "",
    }
    assert read_answers(path, little) == {}
    text = path.read_text().replace("0.3000,", '0.3000,"bird, small"').replace("1.0000,", "1.0000,-")
    path.write_text(text)
    answers = read_answers(path, little)
    assert answers == {"p/2": "bird, small", "p/0": "-"}
    assert answered(little, answers).tolist() == [ELSEWHERE, 1, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,label\np/0,fox\n", "expected the columns id and answer; got id, label"),
        ("id,answer\np/9,fox\n", "line 2: expected the id of a frame of these records; got 'p/9'"),
        ("id,answer\np/0,wolf\n", "line 2: expected one of fox, bird, small, or - where none fits; got 'wolf'"),
        ("id,answer\np/0,fox\np/0,-\n", "line 3: expected one answer for 'p/0'; got 'fox' and '-'"),
    ],
)
def test_answers_that_do_not_fit_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "answers.csv"
    path.write_text(text)
    with pytest.raises(WorkbenchError, match=message):
        read_answers(path, some())


def test_an_answer_may_not_contradict_a_label() -> None:
    with pytest.raises(WorkbenchError, match="expected the answer 'bird, small' for 'p/1', the class of its folder"):
        answered(some(), {"p/1": "fox"})
