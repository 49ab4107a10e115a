"""What people say that frames show, written beside a device that runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from store_parts import record

from edge_sdk.errors import StorageError
from edge_sdk.store.store import Store
from edge_sdk.store.truths import write_truths


def test_labels_are_written_while_the_device_runs(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.exit(record("a", final=True))
        store.flush()
        assert write_truths(tmp_path, {"a": "wolf", "b": "fox"}) == ["b"]
        store.exit(record("c", final=True))
        entry = store.journal.entry("a")
        assert entry is not None and entry.truth == "wolf"
        assert store.flush()


def test_without_a_table_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot write"):
        write_truths(tmp_path, {"a": "wolf"})
