"""`edge-sdk classify`."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.cli import cli
from edge_sdk.terminal.command import run


def test_it_goes_on_after_a_broken_photo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "good [bold].png", tmp_path / "bro[bold]ken.jpg"
    cv2.imwrite(str(good), np.full((60, 80, 3), 90, np.uint8))
    bad.write_bytes(b"no photo")
    assert run(cli, "edge-sdk", ["classify", str(bad), str(good), str(tmp_path / "none.jpg"), "--json"]) == 2
    out, errors = capsys.readouterr()
    doubt, broken, absent = errors.splitlines()
    assert "was made for the simulated camera" in doubt
    assert broken.startswith("edge-sdk: ") and broken.count(str(bad)) == 1
    assert absent.startswith("edge-sdk: ") and absent.count("none.jpg") == 1
    line = json.loads(out)
    assert line["source"] == str(good)
    assert sum(line["probabilities"].values()) == pytest.approx(1, abs=1e-4)


def test_a_line_for_each_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "a\x1b[31m.png"
    picture.write_bytes(cv2.imencode(".png", np.full((60, 80, 3), 90, np.uint8))[1].tobytes())
    assert run(cli, "edge-sdk", ["classify", str(picture)]) == 0
    text = capsys.readouterr().out
    assert text.endswith(("(exit)\n", "(offload)\n"))
    assert r"a\x1b[31m.png: " in text
