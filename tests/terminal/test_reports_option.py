from __future__ import annotations

from pathlib import Path

import click
import pytest

from edge_sdk.terminal.reports_option import ReportsPlace


def test_a_folder_is_a_path_and_an_address_stays_a_text(tmp_path: Path) -> None:
    place = ReportsPlace()
    assert place.convert(str(tmp_path), None, None) == tmp_path
    assert place.convert("postgresql://host/name", None, None) == "postgresql://host/name"
    with pytest.raises(click.BadParameter, match="does not exist"):
        place.convert("mysql://host/name", None, None)
