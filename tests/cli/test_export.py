"""`edge-sdk export`."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from edge_sdk.cli import cli
from edge_sdk.model.bundle import open_bundle
from edge_sdk.networks.checkpoint import load_checkpoint, save_checkpoint
from edge_sdk.terminal.command import run

pytestmark = pytest.mark.filterwarnings("ignore")  # of the exporter's own code


def test_a_checkpoint_becomes_a_bundle(fp32_bundle: Path) -> None:
    manifest = open_bundle(fp32_bundle).manifest
    assert (manifest.version, manifest.precision, manifest.name) == ("7", "fp32", "bundle")


def test_old_names_and_narrow_terminals(
    photos: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    out = tmp_path / "bun[bold]dle"
    given = ["--checkpoint", str(checkpoint), "--images", str(photos), "--limit", "8", "--out", str(out), "--fp32"]
    assert run(cli, "edge-sdk", ["export", *given]) == 0
    text = capsys.readouterr().out
    assert "agreement" in text and "measured on" in " ".join(text.split()) and "…" not in text
    assert text.splitlines()[-1] == f"wrote {out}"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--model", "resnet18"], "is a lcnet_035; expected lcnet_035 or no architecture; got resnet18"),
        (["--out", "/dev/null/bundle"], "/dev/null is not a folder"),
        (["--data", "/no/such"], "expected a folder of pictures"),
        (["--pretrained"], "expected --pretrained or --checkpoint, not both"),
        (["--fp32", "--precision", "int8"], "expected --fp32 or --precision int8, not both"),
    ],
)
def test_what_cannot_be_is_told(
    checkpoint: Path, tmp_path: Path, options: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--checkpoint", str(checkpoint), "--data", str(tmp_path), "--out", str(tmp_path / "b")]
    assert run(cli, "edge-sdk", ["export", *given, *options]) == 2
    assert told in capsys.readouterr().err


def test_the_view_of_a_checkpoint_is_taken_over(photos: Path, checkpoint: Path, tmp_path: Path) -> None:
    module, info = load_checkpoint(checkpoint)
    both = save_checkpoint(tmp_path / "both.safetensors", module, msgspec.structs.replace(info, view="both"))
    given = ["--data", str(photos), "--limit", "16", "--measure", "8", "--fp32"]
    for view, more in (("both", []), ("frame", ["--view", "frame"])):
        out = tmp_path / view
        assert run(cli, "edge-sdk", ["export", "--checkpoint", str(both), *given, "--out", str(out), *more]) == 0
        assert open_bundle(out).manifest.view == view
