"""Companions and exit sequences by their commands, on small networks and photos."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from tiny_network import LABELS, write_tiny_bundle

from edge_sdk.cli.companion import companion
from edge_sdk.cli.sequence import sequence
from edge_sdk.errors import WorkbenchError
from edge_sdk.model.bundle import InputSpec
from edge_sdk.networks.checkpoint import create_model, save_checkpoint
from edge_sdk.networks.sequence_file import load_sequence
from edge_sdk.workbench.companion_search import find_companions


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough photos that every split of a folder has some."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for channel, label in enumerate(LABELS):
        (root / label).mkdir()
        for index in range(60):
            image = rng.integers(0, 60, (36, 48, 3), np.uint8)
            image[..., channel] += 150
            cv2.imwrite(str(root / label / f"{index}.jpg"), image)
    return root


def network(path: Path, width: int, labels: tuple[str, ...] = LABELS) -> str:
    torch.manual_seed(width)
    options = {"channels": [width, width, 2 * width, 2 * width], "stem_width": 8}
    module, info = create_model(
        "resnet10t", labels=labels, input=InputSpec(64, 48, (0.5,) * 3, (0.5,) * 3), options=options
    )
    return str(save_checkpoint(path, module, info))


def test_companions_are_found_measured_and_drawn(photos: Path, tmp_path: Path) -> None:
    big, thin = network(tmp_path / "big.safetensors", 32), network(tmp_path / "thin.safetensors", 8)
    fat = network(tmp_path / "fat.safetensors", 48)
    other = network(tmp_path / "other.safetensors", 8, ("cat", "dog", "fox"))
    options = ["--big", big, "--data", str(photos), "--out", str(tmp_path / "out"), "--float"]
    run = CliRunner()
    done = run.invoke(companion, [*options, "--candidates", thin, "--candidates", fat], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "left out: fat: costs" in done.output.replace("\n", " ")
    assert "Take" in done.output
    assert (tmp_path / "out" / "companions.png").stat().st_size > 10_000
    stamp = (tmp_path / "out" / "test" / "thin.npz").stat().st_mtime_ns
    assert find_companions(big, [thin], str(photos), tmp_path / "out", as_float=True).ranked[0].name == "thin"
    assert (tmp_path / "out" / "test" / "thin.npz").stat().st_mtime_ns == stamp  # not made again
    with pytest.raises(WorkbenchError, match="candidates with the big model's labels"):
        find_companions(big, [other], str(photos), tmp_path / "out", as_float=True)
    with pytest.raises(WorkbenchError, match="expected at least one candidate"):
        find_companions(big, ["no_such_network"], str(photos), tmp_path / "out", as_float=True)


def test_a_sequence_is_made_by_one_command(photos: Path, tmp_path: Path) -> None:
    big = network(tmp_path / "big.safetensors", 16)
    bundle = write_tiny_bundle(tmp_path / "tiny")
    out = tmp_path / "sequence.safetensors"
    options = ["--big", big, "--bundle", str(bundle.path), "--data", str(photos), "--out", str(out)]
    done = CliRunner().invoke(sequence, [*options, "--exits", "2", "--epochs", "3"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "exit sequence" in done.output and "cloud-server --model" in done.output
    model = load_sequence(out)
    assert len(model.info.modules) == len(model.info.thresholds) == 2
    assert set(model.info.facts) >= {"accuracy", "big_accuracy", "macs", "drop"}
