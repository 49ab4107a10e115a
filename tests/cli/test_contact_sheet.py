"""`edge-sdk contact-sheet`."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from edge_sdk.cli import cli
from edge_sdk.terminal.command import run


def test_it_is_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "sheet [bold].png"
    assert run(cli, "edge-sdk", ["contact-sheet", "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    picture = cv2.imread(str(out))
    assert picture is not None
    assert picture.std() > 20


@pytest.mark.parametrize(("name", "told"), [("file/sheet.png", "cannot write"), ("sheet.txt", "sheet.png")])
def test_what_cannot_be_written_is_told(
    tmp_path: Path, name: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert run(cli, "edge-sdk", ["contact-sheet", "--out", str(tmp_path / name)]) == 2
    said = capsys.readouterr().err
    assert told in said and said.count("\n") == 1
