"""Records survive their file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_sdk.errors import WorkbenchError
from edge_sdk.workbench.records import Records, RecordsInfo, check_same, from_logits
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
