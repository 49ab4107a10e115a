"""`edge-sdk info`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edge_sdk.cli import cli
from edge_sdk.model.bundle import open_bundle, write_priors, write_taxonomy
from edge_sdk.model.priors import ClassPrior, Priors
from edge_sdk.model.taxonomy import Taxonomy
from edge_sdk.terminal.command import run


def test_it_describes_the_shipped_bundle(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, "edge-sdk", ["info"]) == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for part in (
        "deer",
        "int8",
        "rule",
        "golden",
        "made for",
        "does not know",
        str(len(open_bundle("trailcam").manifest.labels)),
    ):
        assert part in text


@pytest.mark.parametrize("columns", ["40", "60"])
def test_a_narrow_terminal_shows_the_whole_path(
    tmp_path: Path, columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    bundle = tmp_path / "a-folder-of-a-rather-long-name" / "bundle-[/b]-of-the-north-gate"
    shutil.copytree(open_bundle("trailcam").path, bundle)
    assert run(cli, "edge-sdk", ["info", str(bundle)]) == 0
    text = capsys.readouterr().out
    assert "…" not in text and max(map(len, text.splitlines())) <= int(columns)
    assert str(bundle) in text.translate({ord(mark): None for mark in " \n│"})


def test_a_bundle_that_cannot_be_used_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(cli, "edge-sdk", ["info", "/no-such"]) == 2
    assert "/no-such" in capsys.readouterr().err


def test_it_says_whether_the_tables_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(open_bundle("trailcam").path, tmp_path / "bundle")
    write_priors(tmp_path / "bundle", Priors(classes={"deer": ClassPrior()}))
    write_taxonomy(tmp_path / "bundle", Taxonomy(classes={"deer": ("hoofed",)}))
    assert run(cli, "edge-sdk", ["info", str(tmp_path / "bundle")]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "1 classes, 0 regions; not used: not calibrated" in text and "1 groups; not used" in text
