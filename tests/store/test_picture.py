"""A frame's picture, read from a state folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from store_parts import item, record

from edge_sdk.config import StorageSettings
from edge_sdk.store.picture import read_picture
from edge_sdk.store.store import Store


def test_pictures_that_wait_and_that_are_kept_and_none_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Store(tmp_path, StorageSettings(archive="1MB")) as store:
        store.spool.put(item("waits"))
        for name in ("kept", "gone", "spoilt"):
            store.exit(record(name, final=True), item(name))
        store.exit(record("none", final=True))
        entries = {entry.answer.frame_id: entry for entry in store.journal.query()}
        for name in ("waits", "kept"):
            read = read_picture(tmp_path, entries[name])
            assert read is not None and read.image == item(name).image
        assert read_picture(tmp_path, entries["none"]) is None and not caplog.records
        (tmp_path / "archive" / "gone.frame").unlink()
        path = tmp_path / "archive" / "spoilt.frame"
        path.write_bytes(path.read_bytes()[:-1] + b"?")
        assert read_picture(tmp_path, entries["gone"]) is None
        assert read_picture(tmp_path, entries["spoilt"]) is None
        assert len(caplog.records) == 2
        outside = replace(entries["kept"], picture="../../etc/kept.frame")
        assert read_picture(tmp_path, outside) is None
