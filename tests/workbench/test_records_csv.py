"""Records of a third party."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.records import Records, RecordsInfo, check_same, from_logits
from edge_sdk.workbench.records_csv import read_csv

LABELS = ("blue", "green", "red")


def some(count: int = 5, model: str = "m") -> Records:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (count, 3)).astype(np.float32)
    return from_logits(
        RecordsInfo(model=model, labels=LABELS, macs=7), [f"p/{i}" for i in range(count)], [0] * count, logits
    )


def test_a_third_partys_csv(tmp_path: Path) -> None:
    truth = some(3)
    path = tmp_path / "theirs.csv"
    path.write_text("id,predicted,probability\np/2,red,0.5\np/0,blue,0.9\np/1,1,0.75\n")
    records = read_csv(path, truth, macs=99)
    assert records.predicted.tolist() == [0, 1, 2]
    assert records.confidence.tolist() == [pytest.approx(0.9), 0.75, 0.5]
    assert records.info.model == "theirs" and records.info.macs == 99
    with pytest.raises(WorkbenchError, match="all probabilities"):
        _ = records.logits
    check_same(truth, records)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,label\n", "expected the columns id, predicted, probability; got id, label"),
        ("id,predicted,probability\np/0,blue,0.9\n", "without 'p/1'"),
        ("id,predicted,probability\np/0,purple,0.9\np/1,red,1\n", "line 2: expected a class among"),
        ("id,predicted,probability\np/0,red,nan\np/1,red,1\n", "line 2: expected a probability"),
    ],
)
def test_a_csv_that_does_not_fit_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "theirs.csv"
    path.write_text(text)
    with pytest.raises(WorkbenchError, match=message):
        read_csv(path, some(2))
