"""`edge-sdk companion`."""

from __future__ import annotations

from pathlib import Path

import pytest
from resnets import write_resnet

from edge_sdk.cli import cli
from edge_sdk.terminal.command import run


def test_companions_are_found_told_and_drawn(
    class_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    widths = {"big": 32, "thin": 8, "fat": 48}
    big, thin, fat = (write_resnet(tmp_path / f"{name}.safetensors", width) for name, width in widths.items())
    out = tmp_path / "o[bold]ut"
    given = ["--big", big, "--data", str(class_photos), "--out", str(out), "--precision", "fp32"]
    assert run(cli, "edge-sdk", ["companion", *given, "--candidates", thin, "--candidates", fat]) == 0
    text = capsys.readouterr().out
    assert "test pictures are few" in text
    assert "left out: fat: costs" in text and "Take" in text and "…" not in text
    assert "  cascade: " in text  # too narrow for eleven columns
    assert text.splitlines()[-1] == f"wrote {out / 'companions.png'}"
    assert (out / "companions.png").stat().st_size > 10_000


def test_what_cannot_be_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--big", "m", "--data", str(tmp_path), "--out", str(tmp_path / "o"), "--candidates", "c", "--top", "0"]
    assert run(cli, "edge-sdk", ["companion", *given]) == 2
    assert "Invalid value for '--top'" in capsys.readouterr().err
    files = ["--big", "a/b", "--candidates", "c.safetensors", "--data", str(tmp_path), "--out", str(tmp_path / "o")]
    assert run(cli, "edge-sdk", ["companion", *files, "--pretrained"]) == 2
    assert "expected a timm name with --pretrained; a/b, c.safetensors have weights" in capsys.readouterr().err
    assert run(cli, "edge-sdk", ["companion", *files, "--float", "--precision", "int8"]) == 2
    assert "expected --float or --precision int8, not both" in capsys.readouterr().err
