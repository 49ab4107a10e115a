"""`edge-sdk info`."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from settings_parts import MADE_AT, Operator

from edge_sdk import EdgeClassifier, RemoteSettings
from edge_sdk.cli import cli
from edge_sdk.fleet.remote import Kept
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


def test_the_settings_of_the_server_by_a_state_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    operator, state = Operator(tmp_path / "operator"), tmp_path / "state"
    with EdgeClassifier(
        state_dir=state, remote=RemoteSettings(operator.public, accept=("threshold", "private"))
    ) as edge:
        remote = edge._parts.remote

        def told() -> str:
            files = {path: path.stat().st_mtime_ns for path in state.rglob("*")}
            assert run(cli, "edge-sdk", ["info", "--state", str(state)]) == 0
            assert {path: path.stat().st_mtime_ns for path in state.rglob("*")} == files
            return " ".join(capsys.readouterr().out.split())

        assert "none were accepted" in told()
        private = {"never_upload": ["unicorn"]}
        assert remote.store.offer(operator.signed(7, threshold=0.6, budget={"upload": "1MB/day"}, private=private))
        assert "not yet said" in told()
        remote.store.remember(remote.held)
        text = told()
        for part in (
            "7, for all devices",
            f"key {operator.key_id}, 2026-11-27 12:00 UTC",
            "threshold 0.6",
            "budget: this device does not accept it",
            "private: ",
        ):
            assert part in text
        gone = datetime(2026, 6, 1, tzinfo=UTC)
        (state / "settings.json").write_bytes(
            msgspec.json.encode(Kept(operator.signed(8, expires_at=gone, audit=0.1).decode(), "vm:50051", MADE_AT))
        )
        assert "they have expired" in told()
    (state / "settings.json").write_text("{")
    assert run(cli, "edge-sdk", ["info", "--state", str(state)]) == 2
    assert "cannot read" in capsys.readouterr().err
