"""`edge-sdk sequence`."""

from __future__ import annotations

from pathlib import Path

import pytest
from resnets import write_resnet
from tiny_network import write_tiny_bundle

from edge_sdk.cli import cli
from edge_sdk.networks.sequence_file import load_sequence
from edge_sdk.terminal.command import run


def test_one_command_makes_a_sequence(class_photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    big, bundle = write_resnet(tmp_path / "big.safetensors", 16), write_tiny_bundle(tmp_path / "tiny")
    out = tmp_path / "sequence.safetensors"
    given = ["--big", big, "--bundle", str(bundle.path), "--data", str(class_photos), "--out", str(out)]
    assert run(cli, "edge-sdk", ["sequence", *given, "--exits", "2", "--epochs", "3"]) == 0
    text = capsys.readouterr().out
    assert "Exit sequence on resnet10t" in text and "exit sequence" in text
    assert text.splitlines()[-1] == f"wrote {out}; serve it with: cloud-server --model {out}"
    model = load_sequence(out)
    assert len(model.info.modules) == len(model.info.thresholds) == 2
    assert set(model.info.facts) >= {"accuracy", "big_accuracy", "macs", "drop"}
    assert (tmp_path / "sequence-features").is_dir()


def test_bad_options_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--big", "m", "--bundle", "trailcam", "--data", str(tmp_path), "--out", str(tmp_path / "s")]
    assert run(cli, "edge-sdk", ["sequence", *given, "--method", "guess"]) == 2
    assert "Invalid value for '--method'" in capsys.readouterr().err
    assert run(cli, "edge-sdk", ["sequence", *given, "--big", "m.safetensors", "--pretrained"]) == 2
    assert "expected a timm name with --pretrained; m.safetensors has weights" in capsys.readouterr().err
