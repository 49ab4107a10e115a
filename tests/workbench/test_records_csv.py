"""Records of a third party."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.records import Records, RecordsInfo, check_same, from_logits
from edge_sdk.workbench.records_csv import read_csv, read_csvs

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
        ("id,predicted,probability\np/0,red\np/1,red,1\n", "line 2: expected 3 values; got 2"),
        ("id,predicted,probability\np/0,red,1\np/1,red,1\np/2,red,1\n", "the 2 sample ids of m; got 3, with 'p/2'"),
        (
            "id,predicted,probability\np/0,red,1\np/1,red,1\np/0,blue,1\n",
            "line 4: expected each picture once; 'p/0' stands on line 2 with another answer",
        ),
        ("id,predicted,probability\np/0,red,nan\np/1,red,1\n", "line 2: expected a probability"),
    ],
)
def test_a_csv_that_does_not_fit_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "theirs.csv"
    path.write_text(text)
    with pytest.raises(WorkbenchError, match=message):
        read_csv(path, some(2))


def test_rows_that_come_twice_with_one_content_are_merged_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "theirs.csv"
    path.write_text("id,predicted,probability\np/0,red,0.9\np/1,red,1\np/0,red,0.9\n")
    assert len(read_csv(path, some(2))) == 2
    assert "merged 1 rows" in caplog.text


def test_files_alone_are_enough_where_one_tells_the_truth(tmp_path: Path) -> None:
    little, big = tmp_path / "little.csv", tmp_path / "big.csv"
    little.write_text("id,predicted,probability,truth\na,fox,0.9,fox\nb,bird,0.4,fox\n")
    big.write_text("probability,id,predicted\n0.8,b,fox\n0.7,a,fox\n")
    one, two = read_csvs([little, big], macs={"big": 9})
    check_same(one, two)
    assert one.info.labels == ("bird", "fox") and (one.info.macs, two.info.macs) == (0, 9)
    assert one.right.tolist() == [True, False] and two.right.tolist() == [True, True]
    assert two.confidence.tolist() == [pytest.approx(0.7), pytest.approx(0.8)]
    numbers = tmp_path / "numbers.csv"
    numbers.write_text("id,predicted,probability,truth\na,2,0.9,0\nb,10,0.4,10\n")
    assert read_csvs([numbers])[0].info.labels == tuple(map(str, range(11)))


def test_files_alone_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    little, big = tmp_path / "little.csv", tmp_path / "big.csv"
    little.write_text("id,predicted,probability\na,fox,0.9\n")
    with pytest.raises(WorkbenchError, match="expected a column `truth`"):
        read_csvs([little])
    little.write_text("id,predicted,probability,truth\na,fox,0.9,fox\nb,bird,0.9,\n")
    with pytest.raises(WorkbenchError, match="line 3: expected a class as truth; got ''"):
        read_csvs([little])
    little.write_text("id,predicted,probability,truth\na,fox,0.9,fox\nb,fox,0.9,fox\n")
    with pytest.raises(WorkbenchError, match="expected two or more classes; got fox"):
        read_csvs([little])
    little.write_text("id,predicted,probability,truth\na,fox,0.9,fox\nb,fox,0.9,bird\n")
    big.write_text("id,predicted,probability,truth\na,fox,0.9,bird\nb,fox,0.9,bird\n")
    with pytest.raises(WorkbenchError, match="expected one truth of 'a'; got 'fox'"):
        read_csvs([little, big])
    with pytest.raises(WorkbenchError, match="expected a file name for each model"):
        read_csvs([little, little])
