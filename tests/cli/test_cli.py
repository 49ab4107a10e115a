"""The command edge-sdk."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from edge_sdk.cli import cli
from edge_sdk.errors import BundleError


def run(*arguments: object, ok: bool = True) -> str:
    done = CliRunner().invoke(cli, [str(one) for one in arguments], catch_exceptions=False)
    assert (done.exit_code == 0) == ok, done.output
    return done.output


def test_help_lists_all_commands_without_loading_torch() -> None:
    code = "import sys; from click.testing import CliRunner; from edge_sdk.cli import cli; "
    code += "print(CliRunner().invoke(cli, ['--help']).output); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    for name in (
        "info",
        "classify",
        "journal",
        "contact-sheet",
        "train",
        "export",
        "calibrate",
        "records",
        "companion",
        "sequence",
        "cascade",
        "drift",
    ):
        assert f"  {name}" in done.stdout
    assert done.stdout.strip().endswith("False")


def test_info_describes_the_shipped_bundle() -> None:
    text = run("info")
    for part in ("deer", "int8", "rule", "golden"):
        assert part in text
    with pytest.raises(BundleError, match="no-such"):
        run("info", "/no-such")


def test_classify_goes_on_after_a_broken_photo(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.png", tmp_path / "bad.jpg"
    cv2.imwrite(str(good), np.full((60, 80, 3), 90, np.uint8))
    bad.write_bytes(b"no photo")
    text = run("classify", bad, good, "--json", ok=False)
    assert str(bad) in text
    line = json.loads(text.splitlines()[-1])
    assert line["source"] == str(good)
    assert sum(line["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    assert "offload" in run("classify", good) or "exit" in run("classify", good)


def test_journal_says_where_it_looked(tmp_path: Path) -> None:
    assert f"no journal at {tmp_path}" in run("journal", "--state", tmp_path, ok=False)


def test_contact_sheet_is_a_picture(tmp_path: Path) -> None:
    run("contact-sheet", "--out", tmp_path / "sheet.png")
    picture = cv2.imread(str(tmp_path / "sheet.png"))
    assert picture is not None
    assert picture.std() > 20
    assert "cannot write" in run("contact-sheet", "--out", "/no/such/sheet.png", ok=False)


def test_an_unknown_command_or_option_is_said() -> None:
    assert "No such command" in run("clasify", ok=False)
    assert "No such option" in run("info", "--fast", ok=False)
