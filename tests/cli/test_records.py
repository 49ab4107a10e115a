"""`edge-sdk records`."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_sdk.cli import cli
from edge_sdk.cli.records import records_table
from edge_sdk.terminal.command import run
from edge_sdk.terminal.text import open_console

pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporter's own code


def test_each_model_has_its_file_and_row(pair: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert len(pair) == 2
    open_console().print(records_table(map(Path, pair), Path("fol[bold]der")))
    text = capsys.readouterr().out
    assert "Records in fol[bold]der" in text and text.count("120") >= 2


def test_what_cannot_be_read_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["m", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "records")]
    assert run(cli, "edge-sdk", ["records", *given]) == 2
    assert "expected a folder of pictures" in capsys.readouterr().err
