"""Pictures taken out of an archive."""

from __future__ import annotations

from pathlib import Path

import pytest
from store_parts import cloud, frame_files, item, record

from edge_sdk.config import StorageSettings
from edge_sdk.errors import StorageError
from edge_sdk.store.prune import beyond, prune
from edge_sdk.store.store import Store


def test_what_goes_and_what_stays(tmp_path: Path) -> None:
    with Store(tmp_path, StorageSettings(archive="1MB")) as store:
        for number in range(4):
            store.exit(record(f"e{number}", final=True), item(f"e{number}"))
        for name in ("sent", "waits"):
            store.spool.put(item(name), record(name))
        store.spool.answer(cloud("sent"))
        size = store.archive.size_bytes
    assert beyond(tmp_path, size) == []
    assert beyond(tmp_path, size - 1) == ["e0"]
    assert beyond(tmp_path, size // 2) == ["e0", "e1", "e2"]
    assert beyond(tmp_path, 0) == ["e0", "e1", "e2", "e3", "sent"]
    prune(tmp_path, ["e0", "sent", "waits", "unknown"])
    assert frame_files(tmp_path, "archive") == {"e1", "e2", "e3"} and frame_files(tmp_path) == {"waits"}
    with Store(tmp_path, StorageSettings(archive="1MB")) as store:
        assert store.spool.ids() == ("waits",)
        assert store.archive.size_bytes == sum(path.stat().st_size for path in (tmp_path / "archive").iterdir())
        entry = store.journal.entry("sent")
        assert entry is not None and entry.picture is None and entry.answer.label == "deer"


def test_files_of_a_prune_that_was_killed_go_at_the_next_start(tmp_path: Path) -> None:
    with Store(tmp_path, StorageSettings(archive="1MB")) as store:
        store.exit(record("a", final=True), item("a"))
    content = (tmp_path / "archive" / "a.frame").read_bytes()
    prune(tmp_path, ["a"])
    (tmp_path / "archive" / "a.frame").write_bytes(content)
    with Store(tmp_path, StorageSettings(archive="1MB")) as store:
        assert not frame_files(tmp_path, "archive") and store.archive.size_bytes == 0


def test_a_table_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"no database" * 1000)
    with pytest.raises(StorageError, match="cannot read"):
        beyond(tmp_path, 0)
    with pytest.raises(StorageError, match="cannot write"):
        prune(tmp_path, ["a"])
