from __future__ import annotations

from pathlib import Path

import pytest

from edge_sdk.errors import StorageError
from edge_sdk.fleet.report_rows import is_address, rows_of


def test_places_are_told_apart(tmp_path: Path) -> None:
    assert is_address("postgresql://host/name") and is_address("postgres://host/name")
    assert not is_address(tmp_path) and not is_address(str(tmp_path)) and not is_address("mysql://host/name")
    with pytest.raises(StorageError, match=r"expected a server's reports \(reports.db\) in"):
        rows_of(tmp_path, "reports.db")


def test_a_database_that_does_not_answer_is_told_without_its_password() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(StorageError, match=r"cannot read postgresql://127\.0\.0\.1/fleet: ") as caught:
        rows_of("postgresql://ada:s3cret@127.0.0.1:1/fleet", "reports.db")("SELECT 1")
    assert "s3cret" not in str(caught.value)
