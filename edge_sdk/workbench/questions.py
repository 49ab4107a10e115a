"""Frames that need a person: questions written to a CSV, answers read from it.

A frame's part in the promise is known without its class where both models name the same one (either answer is as right
as the other) or where it would be sent (then the big model answers). Only frames on which the models differ and that
would exit need a label.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_sdk.durable.files import write_whole
from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.records import UNKNOWN, Records

NONE = "-"
COLUMNS = ("id", "path", "little", "big", "confidence", "exits", "answer")
ELSEWHERE = -2


@dataclass(frozen=True, slots=True, eq=False)
class Questions:
    """Frames that need a person, those first that matter first.

    Attributes:
        rows: `int (K,)`, indices of the records.
        exits: `float64 (K,)`, share of the frames that exit at that frame's score.
        score: `float64 (N,)`, confidence of the little model, of all records.
    """

    rows: NDArray[np.intp]
    exits: NDArray[np.float64]
    score: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.rows)


def write_questions(path: Path, questions: Questions, little: Records, big: Records) -> None:
    """Write the questions as a CSV with an empty column `answer`, in the order in which they are worth answering.

    Raises:
        WorkbenchError: the file cannot be written.
    """
    labels = little.info.labels
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row, exits in zip(questions.rows.tolist(), questions.exits.tolist(), strict=True):
        source = "" if little.sources is None else str(little.sources[row])
        named = labels[int(little.predicted[row])], labels[int(big.predicted[row])]
        writer.writerow([str(little.ids[row]), source, *named, f"{questions.score[row]:.6f}", f"{exits:.4f}", ""])
    try:
        write_whole(path, text.getvalue())
    except OSError as error:
        raise WorkbenchError(f"cannot write {path}: {error}") from error


def read_answers(path: Path, known: Records) -> dict[str, str]:
    """Read what a person answered: the columns `id` and `answer` of a CSV; rows without an answer are left out.

    Args:
        path: the CSV.
        known: records of the same frames; an answer is one of their labels, or `-` where none of them fits.

    Raises:
        WorkbenchError: a column is missing, an id is none of these frames, an answer is no label, or one frame has two.
    """
    ids, found = set(known.ids.tolist()), dict[str, str]()
    allowed = {*known.info.labels, NONE}
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if not {"id", "answer"} <= set(reader.fieldnames or ()):
                got = ", ".join(reader.fieldnames or ()) or "nothing"
                raise WorkbenchError(f"{path}: expected the columns id and answer; got {got}")
            for row in reader:
                line, name, answer = reader.line_num, row["id"], (row["answer"] or "").strip()
                if name not in ids:
                    raise WorkbenchError(
                        f"{path}, line {line}: expected the id of a frame of these records; got {name!r}"
                    )
                if not answer:
                    continue
                if answer not in allowed:
                    raise WorkbenchError(
                        f"{path}, line {line}: expected one of {', '.join(known.info.labels[:10])}"
                        f"{' ...' if len(known.info.labels) > 10 else ''}, or {NONE} where none fits; got {answer!r}"
                    )
                if found.setdefault(name, answer) != answer:
                    raise WorkbenchError(
                        f"{path}, line {line}: expected one answer for {name!r}; got {found[name]!r} and {answer!r}"
                    )
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise WorkbenchError(f"cannot read {path}: {error}") from error
    return found


def answered(records: Records, answers: Mapping[str, str]) -> NDArray[np.int64]:
    """`int64 (N,)`: the true classes, those that a person gave included.

    `UNKNOWN` where nobody has said, `ELSEWHERE` where none of the labels fits.

    Raises:
        WorkbenchError: an answer contradicts the label that a frame has already.
    """
    labels = {label: index for index, label in enumerate(records.info.labels)}
    truths = records.truths.copy()
    place = {name: row for row, name in enumerate(records.ids.tolist())}
    for name, answer in answers.items():
        row, truth = place[name], labels.get(answer, ELSEWHERE)
        if truths[row] not in (UNKNOWN, truth):
            raise WorkbenchError(
                f"expected the answer {records.info.labels[int(truths[row])]!r} for {name!r}, the class of its folder; "
                f"got {answer!r}"
            )
        truths[row] = truth
    return truths
