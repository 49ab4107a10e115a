"""Records on disk, from CSV, and the runs that make them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.records import Records, RecordsInfo, check_same, from_logits, join

LABELS = ("blue", "green", "red")


def some(count: int = 5, model: str = "m") -> Records:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (count, 3)).astype(np.float32)
    return from_logits(
        RecordsInfo(model=model, labels=LABELS, macs=7), [f"p/{i}" for i in range(count)], [0] * count, logits
    )


def test_stored_logits_are_the_models_own() -> None:
    logits = np.array([[3.0, 1.0, -2.0], [12.0, 0.0, -2.0]], np.float32)
    records = from_logits(RecordsInfo(model="m", labels=LABELS), ["a", "b"], [0, 1], logits)
    assert records.logits[:, :2] == pytest.approx(logits[:, :2], abs=0.02)
    assert records.predicted.tolist() == [0, 0]
    assert records.accuracy == 0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ids": np.array(["a"] * 5)}, "unique sample ids"),
        ({"truths": np.array([0, 1, 2, 3, 0])}, "truths from 0 to 2; got 0 to 3"),
        ({"confidence": np.array([0.1, 0.2, np.nan, 0.4, 0.5], np.float32)}, "record 'p/2'"),
        ({"predicted": np.zeros(4, int)}, r"predicted of shape \(5,\)"),
        ({"probabilities": np.zeros((5, 2), np.float16)}, r"probabilities of shape \(5, 3\)"),
    ],
)
def test_arrays_that_are_no_records_are_refused(change: dict[str, Any], message: str) -> None:
    records = some()
    arrays = {name: getattr(records, name) for name in ("ids", "truths", "predicted", "confidence", "probabilities")}
    with pytest.raises(WorkbenchError, match=message):
        Records(records.info, **{**arrays, **change})


def test_records_of_other_pictures_are_not_the_same() -> None:
    records = some()
    with pytest.raises(WorkbenchError, match="the same pictures of m and m; got 5 and 4"):
        check_same(records, records.part(np.arange(4)))
    with pytest.raises(WorkbenchError, match="record 0 is p/0 and p/4"):
        check_same(records, records.part(np.arange(5)[::-1]))
    assert join([records.part(np.arange(2)), records.part(np.arange(2, 5))]).ids.tolist() == records.ids.tolist()
