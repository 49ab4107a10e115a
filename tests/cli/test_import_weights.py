"""`edge-sdk import`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from weight_files import trained

from edge_sdk.cli import cli
from edge_sdk.networks.checkpoint import load_checkpoint
from edge_sdk.networks.timm_networks import make_network
from edge_sdk.terminal.command import run

ARCH = "lcnet_035"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "net.pth"
    network = trained(make_network(ARCH, num_classes=3))
    torch.save({"state_dict": network.state_dict(), "state_dict_ema": network.state_dict(), "epoch": 3}, path)
    return path


def test_weights_become_a_checkpoint(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "names.txt").write_text("cat\ndog\nfox\n")
    out = tmp_path / "model.safetensors"
    given = ["--weights", str(weights), "--labels", str(tmp_path / "names.txt"), "--size", "64x48", "--out", str(out)]
    assert run(cli, "edge-sdk", ["import", *given, "--mean", "0.5", "--std", "0.2,0.3,0.4", "--resize", "stretch"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "read state_dict_ema of" in text and "it also has state_dict" in text
    assert f"fit {ARCH} alone" in text and "3 classes, named as given" in text
    assert "64x48 pixels as given, mean 0.5, 0.5, 0.5, std 0.2, 0.3, 0.4: as given" in text
    assert f"model.safetensors: {ARCH}, 3 classes" in text
    _, info = load_checkpoint(out)
    assert (info.labels, info.input.width, info.input.height) == (("cat", "dog", "fox"), 64, 48)
    assert (info.input.std, info.input.resize) == ((0.2, 0.3, 0.4), "stretch")
    again = ["import", "--weights", str(out), "--out", str(tmp_path / "again.safetensors")]
    assert run(cli, "edge-sdk", again) == 2
    assert "is a checkpoint already" in capsys.readouterr().err


def test_other_names_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = trained(make_network(ARCH, num_classes=3)).state_dict()
    torch.save(
        {f"layer{n}.{name.rpartition('.')[2]}": v for n, (name, v) in enumerate(state.items())}, tmp_path / "w.pt"
    )
    out = tmp_path / "model.safetensors"
    assert run(cli, "edge-sdk", ["import", "--weights", str(tmp_path / "w.pt"), "--arch", ARCH, "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "layer0.weight" in text and "conv_stem.weight" in text and "8x3x3x3" in text and "matched by order" in text
    assert "No names of the classes: --labels FILE gives them." in text


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--out", "model.pth"], "expected --out FILE.safetensors"),
        (["--mean", "123.7,116.3,103.5"], "divide those for 0..255 by 255"),
        (["--std", "0"], "above 0"),
        (["--mean", "a,b"], "expected three numbers"),
        (["--arch", "resnet18"], "does not fit resnet18: it lacks conv1.weight"),
        (["--part", "model"], "expected --part among state_dict"),
        (["--weights", "/no/such"], "does not exist"),
    ],
)
def test_what_cannot_be_is_told(
    weights: Path, tmp_path: Path, options: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--weights", str(weights), "--out", str(tmp_path / "model.safetensors")]
    assert run(cli, "edge-sdk", ["import", *given, *options]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "model.safetensors").exists()
