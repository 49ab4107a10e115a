"""Records survive their file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.cascade.confidence import softmax
from edge_sdk.workbench.records import Records, RecordsInfo, check_same, from_logits, join
from edge_sdk.workbench.records_file import load_records, save_records

LABELS = ("blue", "green", "red")


def some(count: int = 5, model: str = "m") -> Records:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (count, 3)).astype(np.float32)
    return from_logits(
        RecordsInfo(model=model, labels=LABELS, macs=7), [f"p/{i}" for i in range(count)], [0] * count, logits
    )


def test_records_survive_their_file(tmp_path: Path) -> None:
    records = some()
    again = load_records(save_records(tmp_path / "deep" / "m.npz", records))
    check_same(records, again)
    assert again.info == records.info
    assert again.logits == pytest.approx(records.logits)
    assert again.energy is not None and again.upload_bytes is None


def test_files_that_are_no_records_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match="does not exist"):
        load_records(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(WorkbenchError, match="expected records that"):
        load_records(tmp_path / "text.npz")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(WorkbenchError, match="expected records that"):
        load_records(tmp_path / "other.npz")


def test_places_times_and_both_looks_survive_and_join(tmp_path: Path) -> None:
    logits = np.random.default_rng(0).normal(0, 2, (4, 2, 3)).astype(np.float32)
    info = RecordsInfo(model="m", labels=LABELS, view="both")
    one = from_logits(info, list("abcd"), [0] * 4, logits, places=["x"] * 4, times=[1.0, 2.0, np.nan, 4.0])
    again = load_records(save_records(tmp_path / "m.npz", one))
    assert again.info.view == "both" and again.places is not None and again.places.tolist() == ["x"] * 4
    assert again.times is not None and np.isnan(again.times[2]) and again.looks is not None
    expected = (softmax(logits[:, 0], 0.5) + softmax(logits[:, 1], 0.5)) / 2
    assert again.calibrated(0.5) == pytest.approx(expected, abs=2e-3)
    assert again.predicted.tolist() == (softmax(logits[:, 0]) + softmax(logits[:, 1])).argmax(1).tolist()
    assert again.part(np.array([1, 3])).times == pytest.approx([2.0, 4.0])
    unknown = from_logits(info, list("ef"), [0, 0], logits[:2])
    whole = join([again, unknown])
    assert whole.places is not None and whole.places.tolist() == ["x"] * 4 + ["", ""]
    assert whole.times is not None and np.isnan(whole.times[4:]).all()
