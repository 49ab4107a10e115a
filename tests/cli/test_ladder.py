"""`edge-sdk ladder`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import tiny_network

from edge_sdk.cli import cli
from edge_sdk.images.rendition import Upload
from edge_sdk.model.bundle import open_bundle
from edge_sdk.model.policy import Policy
from edge_sdk.terminal.command import run


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    policy = Policy(threshold=0.5, upload=Upload(64, 95), big_macs=7, calibration={"rule": "eps"})
    return tiny_network.write_tiny_bundle(tmp_path / "bundle", policy).path


@pytest.mark.parametrize("columns", ["40", "200"])
def test_it_prints_a_table_and_writes_only_when_it_may(
    bundle: Path,
    class_photos: Path,
    tmp_path: Path,
    columns: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    before = (bundle / "policy.json").read_bytes()
    given = ["--bundle", str(bundle), "--big", str(bundle), "--data", str(class_photos), "--all", "--drop", "0.2"]
    grid = ["--sides", "16,64", "--qualities", "60", "--formats", "jpeg", "--cache", str(tmp_path / "kept")]
    drawn = ["--picture", str(tmp_path / "ladder.png")]
    assert run(cli, "edge-sdk", ["ladder", *given, *grid, *drawn, "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert "16@60" in text and "64@95" in text and "180 frames, 180 offloaded" in text and "…" not in text
    assert (tmp_path / "ladder.png").exists()
    assert (bundle / "policy.json").read_bytes() == before
    assert run(cli, "edge-sdk", ["ladder", *given, *grid]) == 0
    policy = open_bundle(bundle).policy
    assert policy.calibration["ladder_frames"] == 180
    assert policy.upload.name in ("16@60", "64@60", "64@95")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--sides", "8"), "expected numbers from 16 to 65535 between commas; got '8'"),
        (("--qualities", "50,x"), "expected numbers from 1 to 100 between commas; got '50,x'"),
        (("--formats", "gif"), "expected formats among jpeg,webp; got 'gif'"),
        (("--drop", "0"), "0.0 is not in the range"),
    ],
)
def test_bad_options_are_told(
    tmp_path: Path, options: Sequence[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(cli, "edge-sdk", ["ladder", "--bundle", str(tmp_path), "--big", "m", "--data", "d", *options]) == 2
    assert told in capsys.readouterr().err
